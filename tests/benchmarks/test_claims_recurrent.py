import torch

from benchmarks.claims.claim import Setting
from benchmarks.claims.recurrent import LSTM_DYNAMIC


def test_dynamic_quantization_saves_half_of_an_lstm_on_a_trained_model(tmp_path):
    torch.set_num_threads(1)

    saved, lost = LSTM_DYNAMIC.run(Setting(quick=True, seed=0, directory=tmp_path, say=lambda text: None))

    assert saved.holds is True
    assert saved.is_ours
    before, after = ((tmp_path / name).stat().st_size for name in ("float.onnx", "int8.onnx"))
    assert after <= before / 2
    assert str(after) in saved.measured
    assert abs(float(lost.measured)) < 2
