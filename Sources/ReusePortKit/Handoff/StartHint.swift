import CLinux

/// A likely cause of a failed start, known from what the copy does or writes, and what to do about it.
enum StartHint: Sendable, Equatable {
    /// It binds the port or the path of one of its sockets.
    case bindsItself(ByteString)
    /// It binds an address that is in use.
    case bindsInUse
    /// It has the library that replaces its bind(2), and binds what none of the sockets has.
    case bindsAnother(ByteString)
    /// nginx, which takes sockets, was told of none, or of other addresses than those it listens on.
    case bindsAsNginx, listensElsewhere
    /// nginx that puts itself into the background, or has files where its user may not write.
    case daemon, mayNotWrite
    /// A process of it listens, but on no socket that it was given.
    case listens(ByteString, at: SocketAddress, adopts: Bool)
    /// It uses a descriptor that is none of its sockets', which are these.
    case wrongDescriptor(ByteString)
    /// Its program starts another one, and keeps the descriptors to itself.
    case keepsDescriptors(ByteString)
    /// Its user may not enter the directory in which it starts.
    case mayNotEnter(ByteString)
    /// Its program has started another one, and LISTEN_PID is not that one's.
    case wraps(ByteString, ByteString)

    /// Words that are added to the reason.
    var description: ByteString {
        switch self {
        case .bindsItself(let place): "; it binds \(place) by itself: add --pass adopt"
        case .bindsInUse: "; it binds an address by itself: give that to --socket, and add --pass adopt"
        case .bindsAnother(let line): "; it binds an address that no --socket has: give that one (\(line))"
        case .bindsAsNginx: "; it binds by itself: add --pass nginx"
        case .daemon: "; add -g 'daemon off;'"
        case .mayNotWrite: "; its pid and its five *_temp_path need places where its user may write"
        case .listensElsewhere: "; its listen lines must have the addresses of --socket"
        case .listens(let process, let address, let adopts):
            """
            ; \(process) listens on \(address.description), not on the socket it was given: give that address to \
            --socket\(adopts ? "" : ", and add --pass adopt")
            """
        case .wrongDescriptor(let numbers) where numbers.contains(UInt8(ascii: ",")):
            "; the sockets are the descriptors \(numbers)"
        case .wrongDescriptor(let number): "; the only socket is descriptor \(number)"
        case .keepsDescriptors(let name): "; \(name) passes no descriptors on: write the command that it starts"
        case .mayNotEnter(let directory): "; its user may not enter \(directory)"
        case .wraps(let outer, let inner):
            "; LISTEN_PID is that of \(outer), which has started \(inner): start this directly, in a shell by exec"
        }
    }
}

/// Looks for what a copy that runs does instead of becoming ready.
@inline(never)
func startHint(of process: ProcessIdentity, _ record: CopyRecord, _ request: AppRequest) -> StartHint? {
    let family = [process] + descendants(of: process, in: ProcFileSystem())
    let listening = (try? internetSockets(.tcp, states: .listening)) ?? []
    let unix = (try? listeningUnixSockets()) ?? []
    for one in family {
        guard let inodes = try? socketInodes(of: one) else { continue }
        for socket in listening where inodes.contains(socket.inode) {
            var isGiven = false
            var isSame = false
            for listener in record.listeners {
                if listener.identity.cookie == socket.cookie { isGiven = true }
                if listener.identity.address.port == socket.address.port { isSame = true }
            }
            if isGiven { continue }
            if isSame, (try? commandName(of: one.pid)) == "nginx" { return .listensElsewhere }
            return isSame
                ? .bindsItself(ByteString(decimal: socket.address.port ?? 0))
                : .listens(NamedProcess(one).description, at: socket.address, adopts: request.adopts)
        }
        for socket in unix where inodes.contains(socket.inode) {
            if record.listeners.contains(where: { $0.identity.cookie == socket.cookie }) { continue }
            return record.listeners.contains { $0.publicPath == socket.path }
                ? .bindsItself(socket.path)
                : .listens(NamedProcess(one).description, at: .unix(socket.path), adopts: request.adopts)
        }
    }
    // A server's own workers have its name.
    guard request.namesProcess, family.count > 1,
        (try? commandName(of: process.pid)) != (try? commandName(of: family[1].pid))
    else {
        return nil
    }
    return .wraps(NamedProcess(process).description, NamedProcess(family[1]).description)
}

/// Looks for errors that servers write when they do not use what they are given.
@inline(never)
func startHint(from output: ByteString, _ plan: Plan) -> StartHint? {
    if plan.sockets.isEmpty { return nil }
    let program = plan.program
    if isInUse(output) {
        let lines = output.split(on: UInt8(ascii: "\n"))
        if plan.library != nil {
            let line = lines.first { isInUse($0) }
            return .bindsAnother((line ?? "").trimmed.prefix(100))
        }
        if plan.dialects.contains(.nginx) { return .listensElsewhere }
        if plan.isNginx { return .bindsAsNginx }
        // Elsewhere the port may stand in a line of greeting.
        for (index, line) in lines.enumerated() where isInUse(line) {
            for socket in plan.sockets {
                if let path = socket.address.path, line.contains(path) { return .bindsItself(path) }
                guard let port = socket.address.port else { continue }
                let isNext = index + 1 < lines.count && lines[index + 1].contains(number: port)
                if isNext || line.contains(number: port) { return .bindsItself(ByteString(decimal: port)) }
            }
        }
        return .bindsInUse
    }
    // The directory of a Unix socket is often not its user's.
    if plan.library == nil, output.contains("EACCES") || output.contains("ermission denied") {
        for socket in plan.sockets {
            if let path = socket.address.path, output.contains(path) { return .bindsItself(path) }
        }
    }
    if plan.isNginx, output.contains("(13: Permission denied)") { return .mayNotWrite }
    let words: [ByteString] = ["annot find module", "ermission denied", "EACCES", "o such file", "ENOENT"]
    if let directory = try? currentDirectory(), words.contains(where: { output.contains($0) }),
        !mayEnter(directory, plan)
    {
        return .mayNotEnter(directory)
    }
    if plan.library != nil { return nil }
    if program == "npm" || program == "yarn" {
        return .keepsDescriptors(program)
    }
    guard
        output.contains("EBADF") || output.contains("ENOTSOCK") || output.contains("Bad file descriptor")
            || output.contains("listen EINVAL")
    else { return nil }
    return .wrongDescriptor(joined(plan.sockets.map { ByteString(decimal: $0.descriptor) }, by: ", "))
}

/// Whether a server says that an address is in use; gunicorn has words of its own.
private func isInUse(_ text: ByteString) -> Bool {
    let words: [ByteString] = ["EADDRINUSE", "ddress already in use", "onnection in use"]
    return words.contains { text.contains($0) }
}

/// Whether the user of a plan may enter the directory, and those above it.
private func mayEnter(_ directory: ByteString, _ plan: Plan) -> Bool {
    if plan.chroot != nil || plan.chdir != nil || plan.identity == Identity() { return true }
    let words = try? inExpendableProcess(until: Deadline(after: .seconds(5))) { () throws(Errno) in
        do throws(Failure) { try changeIdentity(plan.identity) } catch { return "" }
        return directory.withCString { access($0, X_OK) } == 0 ? "" : "no"
    }
    return words != "no"
}

extension Plan {
    /// The program's name, without its directory.
    fileprivate var program: ByteString {
        lastComponent(of: command[0].filled(sockets.map { $0.address }, copy: 0))
    }

    var isNginx: Bool { program == "nginx" }
}

extension ByteString {
    /// Whether a number occurs, and not as a part of a longer one.
    fileprivate func contains(number: UInt16) -> Bool {
        var digits = ByteString()
        for byte in bytes + [0] {
            if byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") {
                digits.append(byte)
            } else {
                if digits.decimal == UInt64(number) { return true }
                digits = ByteString()
            }
        }
        return false
    }
}
