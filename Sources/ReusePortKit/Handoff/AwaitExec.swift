extension Handoff {
    /// Returns once the copy is the target; fails if it has ended before.
    func awaitExec(_ enrolment: borrowing Enrolment, until deadline: Deadline) throws(Failure) {
        let object: ByteString = "pid \(enrolment.process.identity.pid)"
        let obstacle = try step("wait for", object) { () throws(Errno) in
            try enrolment.exec.awaitExec(until: deadline)
        }
        // That it is about to end is the same as that it has: the reason is known a moment later.
        if obstacle != nil { _ = try? enrolment.process.waitForExit(until: Deadline(after: .seconds(1))) }
        guard obstacle == nil, !enrolment.process.hasExited else {
            throw Failure(
                .negative, "wait for", object,
                enrolment.process.hasExited ? endReason(of: enrolment.process) : "the target was not started")
        }
    }
}
