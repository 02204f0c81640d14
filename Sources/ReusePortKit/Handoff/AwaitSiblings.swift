import CLinux

extension Coordinator {
    /// Waits until the helper of the last copy has cut over, or the generation has failed.
    borrowing func awaitSiblings() throws(MemberFailure) {
        report(.awaitingSiblings)
        let deadline = Deadline(after: request.readyTimeout)
        while !(try isLive(deadline)) {
            guard let changes = try? FileWatch(ofApp: registry) else {
                // There are too many inotify watches: look again after a moment. A copy that may be live by now is not
                // ended for that.
                _ = poll(nil, 0, 50)
                continue
            }
            // The file may have changed before the watch began.
            if try isLive(deadline) { return }
            changes.wait(or: members[0].copy.process, until: deadline)
        }
    }

    private borrowing func isLive(_ deadline: Deadline) throws(MemberFailure) -> Bool {
        let known = registry.loadApp()?.generation(generation.id)
        switch known?.state {
        case .live?, .retiring?, .retired?: return true
        case .starting?: break
        default:
            throw MemberFailure(
                nil, EndReason(.handoff, known?.outcome.description ?? "the registry was removed"))
        }
        if members[0].copy.process.hasExited { throw MemberFailure(0, reason(of: 0)) }
        if deadline.hasPassed {
            let present = AppState.reconciled(registry).running(generation.id).count
            let outcome = GenerationOutcome.incomplete(present: present, wanted: generation.copies)
            throw MemberFailure(nil, EndReason(.handoff, outcome.description))
        }
        return false
    }
}
