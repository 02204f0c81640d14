import CLinux

/// The version of reuseport-exec and of this library. The Makefile reads it from this line for packages.
public var version: ByteString { "0.1.0" }

/// How the program was built: `embedded` or `ordinary`, and the commit if the build knew it.
public var build: ByteString {
    #if hasFeature(Embedded)
        let kind: ByteString = "embedded"
    #else
        let kind: ByteString = "ordinary"
    #endif
    guard let commit = clinux_commit() else { return kind }
    return "\(kind), \(ByteString(cString: commit))"
}
