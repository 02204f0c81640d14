import CLinux

/// The process group of a new process.
enum SpawnGroup {
    /// The caller's.
    case inherited
    /// A new process group in the caller's session.
    case ownGroup
    /// A new session.
    case ownSession

    fileprivate var flag: Int16 {
        switch self {
        case .inherited: 0
        case .ownGroup: Int16(POSIX_SPAWN_SETPGROUP)
        case .ownSession: Int16(CLINUX_SPAWN_SETSID)
        }
    }
}

/// The descriptors 0, 1 and 2 of a new process: copies of these, or /dev/null.
struct StandardDescriptors {
    var input: Int32?
    var output: Int32?
    var error: Int32?
}

/// posix_spawn(3) with no signal blocked or ignored. Returns the pid.
@inline(never)
func spawn(
    _ path: ByteString, _ arguments: borrowing CStrings, _ environment: borrowing CStrings, in group: SpawnGroup,
    _ standard: StandardDescriptors
) throws(Errno) -> Int32 {
    var pid: Int32 = 0
    let numbers = [standard.input ?? -1, standard.output ?? -1, standard.error ?? -1]
    let (argv, variables) = (arguments.pointer, environment.pointer)
    let code = path.withCString { clinux_spawn(&pid, $0, argv, variables, group.flag, numbers) }
    if code != 0 { throw Errno(rawValue: code) }
    return pid
}
