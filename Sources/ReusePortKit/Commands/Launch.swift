/// Carries out a command line without a verb: becomes the target, as a plain program or, with `--app`, as a copy that
/// takes over.
func launch(_ options: Options) throws(Failure) {
    let plan = try Plan(options)
    let app = options.app
    if options.isDryRun { return try write(options.isJSON ? showAsJSON(plan, app) : show(plan, app)) }
    throw carryOut(plan, callersDescriptors: app?.callersDescriptors ?? []) { opened throws(Failure) in
        guard let app else { return nil }
        let view = HandoffView(app: app.name, verbosity: app.verbosity, descriptor: app.logDescriptor)
        return try launchMember(plan, app, &opened, view.reporter)
    }
}
