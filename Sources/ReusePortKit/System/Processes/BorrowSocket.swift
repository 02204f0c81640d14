/// Lets `use` have a duplicate of a socket of another process, and returns its result. ENOENT: the descriptor stands for
/// another socket by now. ETIMEDOUT: that takes too long.
///
/// The holder may have put anything in the socket's place, and may close its own descriptor meanwhile, so that ours is the
/// last and its close may wait for ever: an expendable process has it, and ends without closing it.
@discardableResult
@inline(never)
func borrowSocket(
    of holder: SocketHolder, cookie: UInt64, until deadline: Deadline = borrowingDeadline(),
    in proc: ProcFileSystem = ProcFileSystem(), _ use: (borrowing Descriptor) throws(Errno) -> ByteString
) throws(Errno) -> ByteString {
    let process = try ProcessHandle(to: holder.process, in: proc)
    return try inExpendableProcess(until: deadline) { () throws(Errno) in
        let socket = try process.borrowDescriptor(holder.descriptor)
        // With a second one, the end of the first closes nothing.
        _ = try socket.duplicate().release()
        guard (try? socketCookie(of: socket)) == cookie else { throw .noEntry }
        return try use(socket)
    }
}

/// It takes a millisecond, unless the holder is hostile.
func borrowingDeadline() -> Deadline { Deadline(after: .seconds(2)) }
