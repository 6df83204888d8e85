"""Export of networks: the graphs of one step as ONNX or ``torch.export`` files, checked against PyTorch."""
