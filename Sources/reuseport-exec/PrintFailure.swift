import CLinux
import ReusePortKit

/// Writes a line to standard error. Ignores SIGPIPE, because a closed pipe must not change the exit code.
func printFailure(_ failure: Failure) {
    clinux_ignore_signal(SIGPIPE)
    let line: ByteString = "reuseport-exec: fatal: \(failure.message)\n"
    _ = line.bytes.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}
