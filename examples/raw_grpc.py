"""Speak with nothing but gRPC: what a client in another language does.

python examples/raw_grpc.py [HOST:PORT]     writes raw.wav

The messages are those of Triton's grpc_service.proto (github.com/triton-inference-server/common, folder protobuf).
From this file, protoc generates them for Go, Java, C#, Rust …; for Python, tritonclient brings them.
"""

import json
import sys
import wave
from array import array

import grpc
from tritonclient.grpc import service_pb2 as messages
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub

text = b"It is a lovely morning."  # UTF-8
request = messages.ModelInferRequest(model_name="bark")
request.inputs.add(name="text", datatype="BYTES", shape=[1])
request.raw_input_contents.append(len(text).to_bytes(4, "little") + text)  # a string has its length before it
request.inputs.add(name="seed", datatype="UINT64", shape=[1])
request.raw_input_contents.append((1).to_bytes(8, "little"))  # one entry per input, in the same order
request.inputs.add(name="stream", datatype="BOOL", shape=[1])  # audio while it is made; without it, one answer
request.raw_input_contents.append(b"\x01")
request.parameters["triton_enable_empty_final_response"].bool_param = True  # marks the end, even after an error

samples = array("f")  # 32-bit floats, -1 to 1
channel = grpc.insecure_channel(sys.argv[1] if len(sys.argv) > 1 else "localhost:8001")
try:
    for answer in GRPCInferenceServiceStub(channel).ModelStreamInfer(iter([request])):
        if answer.error_message:  # "[CODE] what is wrong"
            sys.exit(answer.error_message)
        names = [output.name for output in answer.infer_response.outputs]  # none in the last answer of all
        contents = dict(zip(names, answer.infer_response.raw_output_contents, strict=True))
        samples.frombytes(contents.get("audio", b""))  # little-endian, as on x86 and Arm
        if "report" in contents:
            report = json.loads(contents["report"][4:])  # the one with "last": true has the sample rate and timings
except grpc.RpcError as error:  # most likely: no server answers at this address
    sys.exit(f"error: {error.code().name}: {error.details()}")
with wave.open("raw.wav", "wb") as file:
    file.setparams((1, 2, report["sample_rate"], 0, "NONE", ""))
    file.writeframes(array("h", (round(32767 * max(-1.0, min(1.0, sample))) for sample in samples)).tobytes())
