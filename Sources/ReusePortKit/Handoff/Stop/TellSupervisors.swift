/// Tells the supervisors of copies not to start them again, and waits until all know. A copy whose supervisor cannot be
/// told is not stopped.
func tellSupervisors(of copies: [StoppingCopy], sparing: [Supervisor], searchPath: ByteString) {
    var unread = OwnedArray<UnreadCommand>()
    for copy in copies where !copy.isFinished {
        guard let supervisor = copy.order.supervisor, !sparing.contains(supervisor) else { continue }
        do throws(Failure) {
            // A successor is no child of the supervisor, which would take `once` as an order to start another copy.
            var word: ControlWord = copy.hasEnded ? .down : .once
            if let name = supervisor.processName, copy.isChild(ofAnotherThan: name) { word = .down }
            let command = try supervisor.tell(word, searchPath: searchPath)
            copy.isSignalled = copy.order.isSignalledBySupervisor
            if let command {
                unread.append(UnreadCommand(copy: copy, supervisor: supervisor, command: command))
            }
        } catch {
            copy.supervisorIsNotTold(supervisor, error)
        }
    }
    let deadline = Deadline(after: controlPatience)
    for index in 0..<unread.count { unread[index].awaitReader(until: deadline, searchPath: searchPath) }
}

/// A command that a supervisor may not have read yet.
private struct UnreadCommand: ~Copyable {
    let copy: StoppingCopy
    let supervisor: Supervisor
    let command: ControlCommand

    func awaitReader(until deadline: Deadline, searchPath: ByteString) {
        var pause = Pause()
        while !command.isRead, !deadline.hasPassed { pause.wait(until: deadline) }
        if !command.isRead {
            copy.supervisorIsNotTold(supervisor, supervisor.doesNotRead)
        } else if !copy.hasEnded, copy.hasJustEnded {
            // It has ended by itself, and may have been started again before the command was read.
            _ = try? supervisor.tell(.down, searchPath: searchPath)
        }
    }
}

extension StoppingCopy {
    /// Leaves a copy running whose supervisor would start it again. It is stopped all the same if it has ended already,
    /// or if the supervisor is not its parent any more.
    fileprivate func supervisorIsNotTold(_ supervisor: Supervisor, _ failure: Failure) {
        if hasEnded {
            setting.report(.supervisorNotTold(failure.message, isHarmless: false))
        } else if let name = supervisor.processName, isChild(ofAnotherThan: name) {
            setting.report(.supervisorNotTold(failure.message, isHarmless: true))
        } else {
            refuse(.supervisorNotTold(failure.message))
        }
    }

    fileprivate func isChild(ofAnotherThan name: ByteString) -> Bool {
        guard let status = try? ProcessStatus(of: order.process.pid, in: setting.proc),
            let parent = try? commandName(of: status.parent, in: setting.proc)
        else { return false }
        return parent != name
    }
}
