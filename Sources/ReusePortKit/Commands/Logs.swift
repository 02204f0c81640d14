import CLinux

/// `logs`: becomes tail(1) of the files to which the copies of a generation write, or journalctl(1).
func logs(_ request: VerbRequest, _ directory: ByteString) throws(Failure) {
    let registry = try openApp(request, directory)
    let all = AppState.reconciled(registry).app.generations
    let known = all.last {
        $0.label == request.generation ?? $0.label && (request.generation != nil || $0.state == .live)
    }
    guard let generation = known ?? (request.generation == nil ? all.last : nil) else {
        throw failure(registry.app, "it has no such generation", "see reuseport-exec list \(registry.app)")
    }
    guard let deployment = registry.loadDeployment(of: generation) else {
        throw failure(registry.app, "generation \(generation.label) was not started by deploy", "ask its supervisor")
    }
    let log = try findLog(request, generation, deployment, registry.app)
    var words: [ByteString] = ["journalctl", "-n\(request.lines ?? 100)"] + log.units
    if log.units.isEmpty {
        words = try tailWords(request, registry.app, log)
    } else if request.follows {
        words.append("-f")
    }
    throw executeTarget(words, environment: ["PATH=\(safeSearchPath)"] + callersEnvironment())
}

/// The places of a generation's output.
private struct GenerationLog {
    var paths: [ByteString] = []
    /// Options of journalctl(1) that choose it.
    var units: [ByteString] = []
    /// The beginning of its first line in a file that other generations write to as well.
    var mark: ByteString?
}

@inline(never)
private func failure(_ app: ByteString, _ reason: ByteString, _ remedy: ByteString) -> Failure {
    Failure(.negative, "show", "the log of app \(app)", reason, remedy: remedy)
}

private func findLog(
    _ request: VerbRequest, _ generation: GenerationRecord, _ deployment: Deployment, _ app: ByteString
) throws(Failure) -> GenerationLog {
    var log = GenerationLog()
    let options = try deployment.options().deploy
    var path = ByteString()
    switch options.log {
    case .inherited?:
        throw failure(
            app, "it goes where deploy was called", "reuseport-exec migrate \(app) --log FILE gives it a file")
    case .syslog?:
        log.units = ["-t\(app)"]
        return log
    case .file(let given)?: path = resolve(given, against: deployment.directory)
    case nil: if options.supervision == nil { path = try usualLog(of: app) }
    }
    if options.supervision == nil { log.mark = generationMark(app, generation.label) }
    if let copy = request.copy, copy >= generation.copies {
        throw failure(app, "generation \(generation.label) has no copy \(copy)", "see reuseport-exec state \(app)")
    }
    for copy in 0..<generation.copies where request.copy ?? copy == copy {
        if options.supervision == .systemd {
            let marker = ServiceMarker(app: app, label: generation.label, copy: copy)
            log.units += [SystemdManager.own.isUser ? "--user-unit" : "-u", marker.unitName]
        } else if let folder = deployment.logFolder {
            log.paths.append("\(folder)/\(generation.label)-\(copy)/current")
        } else {
            let one = path.replacing("{copy}", with: ByteString(decimal: copy))
            if !log.paths.contains(one) { log.paths.append(one) }
        }
    }
    return log
}

/// Opens the files, which may be the target's. Where nobody else can put another file in their places, tail(1) gets
/// their names, and follows them when they are rotated. Otherwise it gets what is open, and follows that alone: by name
/// it might be led to another file, or wait at a FIFO.
private func tailWords(
    _ request: VerbRequest, _ app: ByteString, _ log: GenerationLog
) throws(Failure) -> [ByteString] {
    var words: [ByteString] = ["tail", "-n\(request.lines ?? 100)"]
    var weakness: ByteString?
    for path in log.paths {
        let object: ByteString = "log \(path)"
        let place = try followPath(path, object: object)
        let file = try openRegular(place.name, in: place.directory, object: object)
        let info = try step("examine", object) { () throws(Errno) in try status(of: file) }
        guard info.links == 1 else { throw Failure(.system, "trust", object, "it has other names") }
        weakness = weakness ?? place.weakness
        if log.paths.count > 1, weakness != nil || request.generation != nil && log.mark != nil {
            throw failure(app, weakness ?? "each copy has a file", "add --copy N")
        }
        if let mark = log.mark, request.generation != nil, request.lines == nil {
            guard let start = findLine(mark, in: file, info.size) else {
                throw failure(app, "no line of \(path) says where it begins", "leave --generation out")
            }
            words[1] = "-c+\(start + 1)"
        }
        _ = dup2(file.number, 0)
    }
    if let weakness, request.follows {
        _ = try? writeAll("reuseport-exec: warning: \(app): follows what is open now: \(weakness)\n", to: 2)
    }
    if request.follows { words.append(weakness == nil ? "-F" : "-f") }
    let byName = weakness == nil && (request.follows || log.paths.count > 1)
    return byName ? words + ["--"] + log.paths : words
}

/// Searches a file from its end for the line that begins so, and returns where that is.
private func findLine(_ beginning: ByteString, in file: borrowing Descriptor, _ size: UInt64) -> UInt64? {
    var end = size
    while end > 0 {
        let start = end > 1 << 16 ? end - 1 << 16 : 0
        // A line may go beyond the part.
        let part = readPart(of: file, at: start, Int(end - start) + beginning.count)
        var index = min(part.count, Int(end - start))
        while index > 0 {
            index -= 1
            guard part.hasBytes(beginning, at: index) else { continue }
            let before = start + UInt64(index)
            if before == 0 || readPart(of: file, at: before - 1, 1) == "\n" { return before }
        }
        end = start
    }
    return nil
}
