# Makes events.bin: an event file by TensorBoard's own writer, with fixed times, and values.json: what is in it.
#   python3 -m pip install tensorboard==2.21.0 && python3 test/golden/tensorboard/make.py
import json
import os

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData
from tensorboard.summary.writer.record_writer import RecordWriter

here = os.path.dirname(os.path.abspath(__file__))
values = [
    {"wallTime": 1700000000.125},
    {"wallTime": 1700000001.5, "start": 301},
    {"wallTime": 1700000002.25, "step": 1, "scalars": {"loss/total": 1.5, "loss/recon": 0.1, "train/tokens": 16777217}},
    {"wallTime": 1700000003.75, "step": 127, "scalars": {"train/learningRate": 3e-5, "train/rounds": 0}},
    {"wallTime": 1700000004, "step": 128, "scalars": {"evaluation/exact": -0.25}, "texts": {"samples/1": "a *b*\n\nc\u00e9"}},
    {"wallTime": 1700000005, "step": 3000000000, "texts": {"samples/2": "x" * 300}},
]


def text_value(tag, text):
    # As SummaryWriter.add_text of PyTorch does.
    content = TextPluginData(version=0).SerializeToString()
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text", content=content))
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
    tensor = TensorProto(dtype="DT_STRING", string_val=[text.encode()], tensor_shape=shape)
    return Summary.Value(tag=tag + "/text_summary", metadata=metadata, tensor=tensor)


def event_of(value):
    event = Event(wall_time=value["wallTime"])
    if "start" in value:
        event.step = value["start"]
        event.session_log.CopyFrom(SessionLog(status=SessionLog.START))
    elif "step" not in value:
        event.file_version = "brain.Event:2"
    else:
        event.step = value["step"]
        scalars = [Summary.Value(tag=tag, simple_value=number) for tag, number in value.get("scalars", {}).items()]
        texts = [text_value(tag, text) for tag, text in value.get("texts", {}).items()]
        event.summary.CopyFrom(Summary(value=scalars + texts))
    return event


with open(os.path.join(here, "events.bin"), "wb") as file:
    writer = RecordWriter(file)
    for value in values:
        writer.write(event_of(value).SerializeToString(deterministic=True))
    writer.flush()
with open(os.path.join(here, "values.json"), "w") as file:
    json.dump(values, file, indent=1)
    file.write("\n")
