import CLinux

/// The state directory that was asked for, or the default.
func stateDirectory(_ given: ByteString?) throws(Failure) -> ByteString {
    if let given { return given }
    return try defaultStateDirectory()
}

/// The directory for what outlives a boot, unless `--state-dir` names another. It has a folder for each app, with the
/// same kind of files as the folder in the run directory.
private func defaultStateDirectory() throws(Failure) -> ByteString {
    if geteuid() == 0 { return "/var/lib/reuseport-exec" }
    if let state = environmentVariable("XDG_STATE_HOME"), state.hasPrefix("/") { return "\(state)/reuseport-exec" }
    if let home = environmentVariable("HOME"), home.hasPrefix("/") { return "\(home)/.local/state/reuseport-exec" }
    throw .usage("find", "the state directory", "HOME is not set", remedy: "set it, or give --state-dir DIR")
}

/// How `boot` deploys an app; nil if it is not enabled.
func keptDeployment(_ app: ByteString, in stateDirectory: ByteString) -> Deployment? {
    (try? Registry.open(app, in: stateDirectory, create: false))?.loadDeployments().first
}
