import CLinux

/// Takes the steps between the opening of the sockets and the exec in a process that ends then: becomes the user, enters
/// the directory, and looks for the program with that user's eyes. Returns the message of the step that fails.
///
/// So a deploy that cannot start is refused before anything is bound. A rehearsal that is stopped, or gets stuck, tells
/// nothing.
@inline(never)
func rehearse(_ plan: Plan) -> ByteString? {
    // Without a user, a root or a directory to change to, this process sees what the target will see.
    if plan.chroot == nil, plan.chdir == nil, plan.identity == Identity() { return checkProgram(of: plan)?.message }
    let words = try? inExpendableProcess(until: Deadline(after: .seconds(5))) { () throws(Errno) in
        do throws(Failure) {
            if let path = plan.chroot { try changeRoot(path) }
            try changeIdentity(plan.identity)
            if let path = plan.chdir { try changeDirectory(path) }
            return checkProgram(of: plan)?.message ?? ""
        } catch {
            return error.message
        }
    }
    return words?.isEmpty == true ? nil : words
}

private func checkProgram(of plan: Plan) -> Failure? {
    let addresses = plan.sockets.map { $0.address }
    let environment = buildEnvironment(
        plan, caller: callersEnvironment(), addresses: addresses, announcement: Announcement())
    return checkTarget(plan.command.map { $0.filled(addresses, copy: plan.copy) }, environment: environment)
}
