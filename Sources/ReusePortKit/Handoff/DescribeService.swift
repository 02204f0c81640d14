import CLinux

/// Copies of one generation that a supervisor starts, and starts again.
struct SupervisedCopies {
    var request: AppRequest
    var label: ByteString
    var options: DeployOptions
    var target: SupervisionTarget
    var deployment: Deployment
}

extension Service {
    /// Sets where its logs go, as `--log` says.
    func setLogs(_ options: DeployOptions, _ deployment: Deployment) {
        if case .file(let path)? = options.log { logDirectory = resolve(path, against: deployment.directory) }
    }
}

extension SupervisedCopies {
    /// Describes the service of one copy.
    func service(_ number: Int, _ registry: Registry) throws(Failure) -> Service {
        if target == .systemd, request.appMemoryMax != nil {
            throw .usage(
                "deploy", "app \(request.name) on systemd", "a unit has no limit for all copies",
                remedy: "put the units into a slice with MemoryMax=")
        }
        let service = Service(
            app: request.name, label: label, copy: number, command: [], workingDirectory: deployment.directory)
        service.runDirectory = request.runDirectory
        service.setLogs(options, deployment)
        service.permanent = options.permanent
        service.onExit = options.onExit
        (service.stopSignal, service.stopTimeout) = (request.stopSignal, request.stopTimeout)
        service.readyTimeout = request.readyTimeout
        if target == .systemd {
            (service.memoryHigh, service.memoryMax) = (request.memoryHigh, request.memoryMax)
        }
        try describeCommand(of: service, registry)
        return service
    }

    /// Repeats what was deployed, as options of one copy.
    private func describeCommand(of service: Service, _ registry: Registry) throws(Failure) {
        let launcher = try step("find", "this program") { () throws(Errno) in
            try executable(of: getpid())
        }
        var words: [ByteString] = [launcher, "--app", request.name, "--generation", label]
        words += ["--copies", ByteString(decimal: request.copies), "--copy", ByteString(decimal: service.copy)]
        // It starts in the directory itself, by whatever name that was entered.
        var environment = deployment.environment?.map { $0.hasPrefix("PWD=") ? "PWD=\(deployment.directory)" : $0 }
        // A copy is better served by another environment than not at all, but not without its own variables.
        var mayBeMissing: ByteString = "-"
        for pair in deployment.settings {
            switch pair.name {
            case "--chdir" where deployment.chdir != nil: continue
            case "--app", "--copies", "--log", "--on", "--permanent", "--on-exit", "--on-deploy", "--state-dir":
                continue
            case "--env":
                // It may be a secret, and everybody can read a unit and the command line of a process.
                if !mayBeMissing.isEmpty { environment = (environment ?? []) + [""] }
                mayBeMissing = ""
                environment?.append(pair.value)
            case "--memory-high" where target == .systemd, "--memory-max" where target == .systemd: continue
            case "--config":
                service.configuration = deployment.configuration
                // A unit itself has the memory limits.
                let lines = deployment.configuration?.split(on: UInt8(ascii: "\n")).filter {
                    !$0.trimmed.hasPrefix("memory-")
                }
                words += ["--config", try place("config", lines.map { joined($0, by: "\n") }, of: service, registry)]
            default:
                words.append(pair.name)
                if !pair.value.isEmpty { words.append(pair.value) }
            }
        }
        if let place = deployment.chdir { words += ["--chdir", place] }
        if let environment {
            service.environment = joined(environment, by: ByteString([0]))
            let path = try place("environment", service.environment, of: service, registry)
            words += ["--env-from", "\(mayBeMissing)\(path)"]
        }
        service.command = words + (deployment.command.isEmpty ? [] : ["--"] + deployment.command)
    }

    /// Where the service finds its configuration file or its environment: in its own directory, or in the registry for a
    /// unit, to which this writes it.
    private func place(
        _ kind: ByteString, _ text: ByteString?, of service: Service, _ registry: Registry
    ) throws(Failure) -> ByteString {
        if let folder = target.directory { return "\(folder)/\(service.name)/\(kind)" }
        return try registry.store(kind, text ?? "", of: label)
    }

    /// Tells services how many copies there are, which they have to know when they are started again, for example
    /// after a reboot.
    func updateServices(_ registry: Registry) throws(Failure) {
        if target.hasGone { return }
        for number in 0..<request.copies { try updateService(try service(number, registry), on: target) }
        if target == .systemd { try reloadUnits() }
    }
}
