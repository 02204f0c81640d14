import CLinux

/// execve(2) of the command, looked up in the target's own PATH. Returns only if that fails, with the reason.
@inline(never)
func executeTarget(_ command: [ByteString], environment: [ByteString]) -> Failure {
    let arguments = CStrings(command)
    let variables = CStrings(environment)
    return search(command, environment) { path in execute(path, arguments, variables) }!
}

/// Why the target cannot be executed, as far as that can be known without trying; nil if it can.
func checkTarget(_ command: [ByteString], environment: [ByteString]) -> Failure? {
    search(command, environment, attempt: executability)
}

/// The path of the target's file, which is looked up from its future working directory.
func locateTarget(
    _ program: ByteString, environment: [ByteString], directory: ByteString
) throws(Failure) -> ByteString {
    var found = ByteString()
    let failure = search([program], environment) { path in
        found = resolve(path, against: directory)
        return executability(found)
    }
    if let failure { throw failure }
    return found
}

/// Tries the paths at which the command may be until an attempt succeeds, and explains why none did.
private func search(
    _ command: [ByteString], _ environment: [ByteString], attempt: (ByteString) -> Errno?
) -> Failure? {
    let program = command[0]
    if program.contains(UInt8(ascii: "/")) {
        return attempt(program).map { explain($0, program, command, environment) }
    }
    var found: (path: ByteString, reason: Errno)?
    for folder in searchPath(environment) {
        // An empty part is the working directory, by POSIX.
        let path: ByteString = folder.isEmpty ? "./\(program)" : "\(folder)/\(program)"
        guard let reason = attempt(path) else { return nil }
        switch reason {
        case .noEntry, .notDirectory, .accessDenied:
            // ENOENT can also mean that a script's interpreter is missing; then the file has been found.
            if found == nil, reason == .accessDenied || exists(path) { found = (path, reason) }
        default:
            return explain(reason, path, command, environment)
        }
    }
    if let found, exists(found.path) { return explain(found.reason, found.path, command, environment) }
    return Failure(
        .notFound, "execute", program, "it is not in PATH",
        remedy: program.contains(UInt8(ascii: " "))
            ? "write it without quotes" : "give its full path, or set PATH with --env")
}

/// The error that execve(2) would give, by access(2); nil if the file may be executed.
@inline(never)
private func executability(_ path: ByteString) -> Errno? {
    do throws(Errno) {
        try path.withCString { path throws(Errno) in try checked(access(path, X_OK)) }
        return try status(of: open(path, CLINUX_O_PATH)).isDirectory ? .accessDenied : nil
    } catch {
        return error
    }
}

private func execute(_ path: ByteString, _ arguments: borrowing CStrings, _ variables: borrowing CStrings) -> Errno {
    path.withCString { _ = execve($0, arguments.pointer, variables.pointer) }
    return .current
}

/// access(2): whether a path leads to a file of any kind.
func exists(_ path: ByteString) -> Bool { path.withCString { access($0, F_OK) } == 0 }

private func searchPath(_ environment: [ByteString]) -> [ByteString] {
    for entry in environment where entry.hasPrefix("PATH=") {
        return entry.dropFirst(5).split(on: UInt8(ascii: ":"))
    }
    // execvp(3) uses these without PATH.
    return ["/bin", "/usr/bin"]
}

private func explain(
    _ reason: Errno, _ path: ByteString, _ command: [ByteString], _ environment: [ByteString]
) -> Failure {
    switch reason {
    case .noEntry where exists(path):
        return Failure(
            .notExecutable, "execute", path, "its interpreter or loader is missing", remedy: "see its first line")
    case .noEntry, .notDirectory:
        let hint: ByteString? = path.contains(UInt8(ascii: " ")) ? "leave out the quotes around the command" : nil
        return Failure(.notFound, "execute", path, reason.description, remedy: hint)
    case .accessDenied:
        return Failure(
            .notExecutable, "execute", path, reason.description,
            remedy: "it and its directories must be executable for the target's user")
    case .noExec:
        return Failure(
            .notExecutable, "execute", path, reason.description, remedy: "a script needs a first line like #!/bin/sh")
    case .isDirectory, .loop, Errno(rawValue: ETXTBSY), Errno(rawValue: ELIBBAD):
        return Failure(.notExecutable, "execute", path, reason.description)
    case .argumentListTooLong:
        let size = (command + environment).reduce(0) { $0 + $1.count + 1 }
        let longest = (command + environment).reduce(0) { max($0, $1.count + 1) }
        return Failure(
            .system, "execute", path, reason.description,
            remedy: """
                arguments and environment have \(size) bytes, the longest entry \(longest); the kernel takes a quarter of \
                ulimit -s in all, and 131072 for one
                """)
    default:
        return Failure("execute", path, reason)
    }
}
