/// What is asked for with `deploy`, except for what each of its copies is.
struct DeployOptions: Sendable, Equatable {
    /// Where the copies write to; nil: a file in the usual log directory.
    var log: LogDestination?
    /// Who starts the copies; nil: this process does.
    var supervision: SupervisionTarget?
    /// Whether the copies are suspended before they take over.
    var isSuspended = false
    /// With a supervisor: the exit codes after which it does not start a copy again.
    var permanent: ByteString?
    /// With a supervisor: a command that is run after each end of a copy.
    var onExit: ByteString?
    /// Whether there are as many copies as processors (`--copies auto`).
    var countsProcessors = false
}
