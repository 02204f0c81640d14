import CLinux
import ReusePortKit

/// One line on standard error. SIGPIPE is ignored, for a reader that has gone must not change the exit code.
func printFailure(_ failure: Failure) {
    clinux_ignore_signal(SIGPIPE)
    let line: ByteString = "reuseport-exec: fatal: \(failure.message)\n"
    _ = line.bytes.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}
