/// Carries out a command line without a verb: becomes the target, as a plain program or, with `--app`, as a copy that
/// takes over.
func launch(_ options: Options) throws(Failure) {
    let app = options.app
    var isRegistered = options.isDryRun
    do throws(Failure) {
        let problem = try readEnvironment(options)
        let plan = try Plan(options)
        if options.isDryRun { return try write(options.isJSON ? showAsJSON(plan, app) : show(plan, app)) }
        throw carryOut(plan, callersDescriptors: app?.callersDescriptors ?? []) { opened throws(Failure) in
            guard let app else { return }
            let view = HandoffView(app: app.name, verbosity: app.verbosity, descriptor: app.logDescriptor)
            if let problem { view.reporter(.problem(problem)) }
            try launchMember(plan, app, &opened, view.reporter)
            isRegistered = true
        }
    } catch {
        // From then on the helper tells. A deploy that has written this service waits for the one or the other.
        if !isRegistered, let app, let directory = try? runDirectory(of: app),
            let registry = try? Registry.open(app.name, in: directory, create: false)
        {
            registry.note(launchFailure: error.message, app.generation ?? "", app.copy)
        }
        throw error
    }
}

/// Reads the file of `--env-from`. Returns why the target has to do without, which a hyphen before the name allows.
private func readEnvironment(_ options: Options) throws(Failure) -> Failure? {
    guard let path = options.environmentFile else { return nil }
    let mayBeMissing = path.hasPrefix("-")
    let text: ByteString
    do throws(Failure) {
        text = try readTrusted(mayBeMissing ? path.dropFirst(1) : path)
    } catch {
        if !mayBeMissing { throw error }
        return error
    }
    var entries: [ByteString] = []
    var isOwn = false
    for entry in text.split(on: 0) {
        if entry.isEmpty {
            isOwn = true
        } else if isOwn {
            try options.takeAnew(variable: entry)
        } else {
            entries.append(entry)
        }
    }
    changeEnvironment(entries)
    return nil
}
