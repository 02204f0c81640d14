import CLinux

/// Runs `body` in a process of its own, which is killed when it takes too long (ETIMEDOUT), and returns its result.
///
/// For calls after which a descriptor of somebody else's may have to be closed: close(2) of a socket with SO_LINGER, or
/// of a FUSE file, waits for as long as its owner likes, and so would everybody who waits for this process and its locks.
func inExpendableProcess(
    until deadline: Deadline, _ body: () throws(Errno) -> ByteString
) throws(Errno) -> ByteString {
    let pipe = try PipeEnds()
    let writer = pipe.writer
    let own = getpid()
    let child = try checked(fork())
    if child == 0 {
        // It holds this process's locks, so must not outlive it.
        _ = clinux_prctl(PR_SET_PDEATHSIG, UInt(SIGKILL), 0, 0, 0)
        if getppid() != own { _exit(1) }
        // The error number, then the result.
        var answer: ByteString
        do throws(Errno) {
            answer = try body()
            answer.bytes.insert(0, at: 0)
        } catch {
            answer = ByteString([UInt8(truncatingIfNeeded: error.rawValue)])
        }
        _ = reason { () throws(Errno) in try writeAll(answer, to: writer) }
        _exit(0)
    }
    // ESRCH if SIGCHLD is ignored and it has ended.
    let process = try? openPidfd(child)
    writer.release(closing: ())
    let answer = readUntil(deadline, pipe.reader)
    if let process {
        _ = try? sendSignal(SIGKILL, through: process)
        _ = try? waitForEvents(POLLIN, on: process, until: Deadline(after: .seconds(1)))
    }
    // One that even KILL does not end stays behind.
    _ = waitpid(child, nil, WNOHANG)
    guard let code = answer.bytes.first else { throw .timedOut }
    if code != 0 { throw Errno(rawValue: Int32(code)) }
    return answer.dropFirst(1)
}
