extension Handoff {
    /// The turn of who ends copies: that the lock cannot be had is told, and no reason to leave them running.
    func lockGroups(_ enrolment: borrowing Enrolment, within patience: Milliseconds) -> Descriptor? {
        do throws(Failure) {
            return try AppState.ofApp(enrolment.registry).lockGroups(in: enrolment.registry, within: patience)
        } catch {
            log.warning(error.message)
            return nil
        }
    }
}

func report(room: Int, _ log: Log) {
    if room > 0 { log.step("up to \(room) connections can wait") }
}
