/// The release that these sources are.
public let version: ByteString = "0.1.0"

/// Which of the two builds this is.
public var build: ByteString {
    #if hasFeature(Embedded)
        "embedded"
    #else
        "ordinary"
    #endif
}
