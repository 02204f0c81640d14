/// What is asked for with `deploy`, except for what each of its copies is.
final class DeployOptions {
    /// Where the copies write to; nil: a file in the usual log directory.
    var log: LogDestination?
    /// Who starts the copies; nil: this process does.
    var supervision: SupervisionTarget?
    /// Whether the copies are suspended before they take over.
    var isSuspended = false
    /// Whether `boot` is to deploy the app from now on.
    var startsAtBoot = false
    /// With a supervisor: the exit codes after which it does not start a copy again.
    var permanent: ByteString?
    /// With a supervisor: a command that is run after each end of a copy.
    var onExit: ByteString?
    /// A command that is run when a deploy has succeeded or failed.
    var onDeploy: ByteString?
    /// Whether there are as many copies as processors (`--copies auto`).
    var countsProcessors = false
    /// Whether there are as many copies as before (`--copies same`).
    var keepsCopies = false

    init() {}
}
