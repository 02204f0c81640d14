/// What is asked for with `deploy`, beside what each of its copies is.
struct DeployOptions: Sendable, Equatable {
    /// Where the copies write to; nil: the usual file.
    var log: LogDestination?
    /// Who starts the copies; nil: this process does.
    var supervision: SupervisionTarget?
    /// Whether the copies are stopped before they take over.
    var isSuspended = false
    /// With a supervisor: the exit codes after which it does not start a copy again.
    var permanent: ByteString?
    /// With a supervisor: what is run after each end of a copy.
    var onExit: ByteString?
    /// As many copies as there are processors.
    var countsProcessors = false
}
