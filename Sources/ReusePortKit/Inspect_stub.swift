func explainLiveUnixSocket(_ s: borrowing Descriptor) -> ByteString { "live" }
