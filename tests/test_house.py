"The house in CONTRIBUTING is the code's, and nobody imports in a circle"
import importlib
import pickle
import sys
from pathlib import Path

import pytest

root = Path(__file__).parent.parent
sys.path.insert(0, str(root/'.ci'))
import house


def test_the_drawing_is_the_code(): assert house.drawn(text := house.FILE.read_text(encoding='utf-8')) == text, 'run make clean-nbs'


def test_one_direction():
    found = house.imports()
    assert len(found) > 10 and found['cli'] and not found['files'] and set(house.stairs(found)) == set(found)
    with pytest.raises(ValueError, match='a, b'): house.stairs(dict(a={'b'}, b={'a'}, c=set()))


def test_arrows_that_a_longer_way_goes_are_left_out():
    text = house.drawing(dict(a=set(), b={'a'}, c={'a', 'b'}), dict(a='00_a', b='01_b', c='09_c'))
    assert 'a --> b' in text and 'b --> c' in text and 'a --> c' not in text and text.index('01 · b') < text.index('subgraph use') < text.index('09 · c')

# What could be imported from these before they were cut into rooms
DOORS = dict(
    structure="""HIGHLIGHTS VAD LearnerError groups Standardiser nearest kmeans ContentRemover Moments to_moments
        pool pool_parts audible contour_parts contour Prepared Space Projection contributions
        utterance_vectors Structure Circumstances relations plot_circumplex""",
    rivals="""METHODS RIVALS VARIANTS PARTS LADDER ABLATION blind clip_vectors Shared nearest_prototype
        logistic_regression self_training label_spreading full_labels sees_source_labels jdar_fit jdar
        jdar_full em_fit em residual_clusters em_clusters BenchError coral_map coral transported
        optimal_transport neighbours laplacian_fit laplacian_shot lame pt_map_fit pt_map alpha_tim_fit
        alpha_tim estimated_shares saerens bbse kdey sere on_views all_labels sere_true_shares
        sees_target_shares""",
    bench="""ProtocolError make_protocol nested_shots task_name thin thinned read_protocol check_protocol
        read_seeds read_tables task_shares OUTPUTS read_clips bench""",
    audit="""ROW KINDS CANNOT ANOTHER AuditError slope rectified wilson rest_share Estimate estimate
        spread_order draw_evenly draw_unsure estimate_uar how_many_more summary Book Audited
        read_audited Audit draw take outcome keep teach told wav_bytes play choices by_keys state
        Desk""",
    corpora="""EMOTIONS RECIPES emotion_word one_vocabulary is_placeholder ManifestError ManifestWarning read_cells
        language_code find_file parts_named read_manifest read_manifests column_names read_labels
        split_stretches join_stretches write_manifest check_manifest Recipe make_manifest
        folder_manifest draw_shots shared_emotions data_samples""",
    explore="""LAYOUTS Style emotion_styles plot_resonance Layout field_data page_data shot_data round_data safe_json
        audio_order embed_audio bundle report_html Explorer running wait start go_on stop teach undo export
        selected to_html light""",
    cluster="""ClusterError to_arrow from_arrow encode_rows most_clips encode_shards shard_manifest read_shards
        score_shards""",
    cli="""UseError one_line default_cache choose_emotions read_shots load_encoders write_encoders
        read_encoders prediction_table answered judge run demo predict check corpus manifest voices
        segment export audit embed_clips shards bench NotYet in_one_line course course_notebook
        slides workshop parser main""")


@pytest.mark.parametrize('door', DOORS)
def test_doors_still_open(door):
    "Programs import from them, and pickles name them"
    if door == 'cluster': pytest.importorskip('pyarrow')
    module, names = importlib.import_module(f'sere_nb.{door}'), DOORS[door].split()
    assert set(names) <= set(module.__all__)
    for o in names:
        if isinstance(there := getattr(module, o), type): assert pickle.loads(f'csere_nb.{door}\n{o}\n.'.encode()) is there
