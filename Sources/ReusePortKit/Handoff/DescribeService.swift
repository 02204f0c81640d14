import CLinux

/// Copies of one generation that a supervisor starts, and starts again.
struct SupervisedCopies {
    var request: AppRequest
    var label: ByteString
    var options: DeployOptions
    var target: SupervisionTarget
    var deployment: Deployment
}

extension SupervisedCopies {
    /// Describes the service of one copy.
    func service(_ number: Int, _ registry: borrowing Registry) throws(Failure) -> Service {
        if target == .systemd, request.appMemoryMax != nil {
            throw .usage(
                "deploy", "app \(request.name) on systemd", "a unit has no limit for all copies",
                remedy: "put the units into a slice with MemoryMax=")
        }
        var service = Service(
            app: request.name, label: label, copy: number, command: [], workingDirectory: deployment.directory)
        service.runDirectory = request.runDirectory
        if case .file(let path)? = options.log {
            service.logDirectory = resolve(path, against: deployment.directory)
        }
        service.permanent = options.permanent
        service.onExit = options.onExit
        (service.stopSignal, service.stopTimeout) = (request.stopSignal, request.stopTimeout)
        service.readyTimeout = request.readyTimeout
        if target == .systemd {
            (service.memoryHigh, service.memoryMax) = (request.memoryHigh, request.memoryMax)
        }
        try describeCommand(of: &service, registry)
        return service
    }

    /// Repeats what was deployed, as options of one copy.
    private func describeCommand(of service: inout Service, _ registry: borrowing Registry) throws(Failure) {
        let launcher = try step("find", "this program") { () throws(Errno) in
            try readLink("exe", in: try open("/proc/self", O_RDONLY | O_DIRECTORY))
        }
        var words: [ByteString] = [launcher, "--app", request.name, "--generation", label]
        words += ["--copies", ByteString(decimal: request.copies), "--copy", ByteString(decimal: service.copy)]
        for pair in deployment.settings {
            switch pair.name {
            case "--app", "--copies", "--log", "--on", "--permanent", "--on-exit": continue
            case "--memory-high" where target == .systemd, "--memory-max" where target == .systemd: continue
            case "--config":
                service.configuration = deployment.configuration
                words += ["--config", try configurationPath(of: service, registry)]
            default:
                words.append(pair.name)
                if !pair.value.isEmpty { words.append(pair.value) }
            }
        }
        service.command = words + (deployment.command.isEmpty ? [] : ["--"] + deployment.command)
    }

    /// Where the service finds its configuration file: in its own directory, or in the registry for a unit.
    private func configurationPath(
        of service: Service, _ registry: borrowing Registry
    ) throws(Failure) -> ByteString {
        if let folder = target.directory { return "\(folder)/\(service.name)/config" }
        // The unit itself has the memory limits.
        let lines = (service.configuration ?? "").split(on: UInt8(ascii: "\n")).filter {
            !$0.trimmed.hasPrefix("memory-")
        }
        return try registry.store(configuration: joined(lines, by: "\n"), of: label)
    }

    /// Tells services how many copies there are, which they have to know when they are started again, for example
    /// after a reboot.
    func updateServices(_ registry: borrowing Registry) throws(Failure) {
        if target.hasGone { return }
        for number in 0..<request.copies { try updateService(try service(number, registry), on: target) }
        if target == .systemd { try reloadUnits() }
    }
}
