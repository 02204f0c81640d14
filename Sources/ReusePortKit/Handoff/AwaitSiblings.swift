import CLinux

extension Coordinator {
    /// Waits until the helper of the last copy has cut over, or the generation has failed.
    func awaitSiblings() throws(StepFailure) {
        report(.awaitingSiblings)
        let deadline = Deadline(after: request.readyTimeout)
        while !(try isLive(deadline)) {
            guard let changes = try? FileWatch(ofApp: registry) else {
                // Without inotify (too many watches) the file is read now and then. That is no reason to end a copy
                // that may be live by now.
                _ = poll(nil, 0, 50)
                continue
            }
            // The file may have changed before the watch began.
            if try isLive(deadline) { return }
            changes.wait(or: members[0].copy.process, until: deadline)
        }
    }

    private func isLive(_ deadline: Deadline) throws(StepFailure) -> Bool {
        let known = registry.loadApp()?.generation(generation.id)
        switch known?.state {
        case .live?, .retiring?, .retired?: return true
        case .starting?: break
        case .failed?, .ended?, nil: throw .generation(GenerationOutcome(whyClosed: known))
        }
        if members[0].copy.process.hasExited { throw .member(0, reason(of: 0)) }
        if deadline.hasPassed {
            let present = AppState.reconciled(registry).running(generation.id).count
            throw .generation(.incomplete(present: present, wanted: generation.copies))
        }
        return false
    }
}
