package schema

// account are the arguments that user.add and user.mod have in common.
func account() []Arg {
	return []Arg{
		{Name: "uid", Type: Int, Max: 1<<31 - 1, Doc: "number of the user"},
		{Name: "group", Type: String, Doc: "name or number of the main group"},
		{Name: "groups", Type: List, Doc: "other groups"},
		{Name: "home", Type: String, Doc: "home folder"},
		{Name: "shell", Type: String, Doc: "login shell"},
		{Name: "comment", Type: String, Max: 256, Doc: "full name or purpose"},
	}
}

func userFunctions() []Function {
	name := Arg{Name: "name", Type: String, Required: true, Max: 32, Doc: "name of the user"}
	return []Function{
		{Name: "user.list", ReadOnly: true, Doc: "Returns the local users."},
		{Name: "user.info", ReadOnly: true, Doc: "Returns a local user with all groups.", Example: "root", Args: []Arg{name}},
		{Name: "user.add", Doc: "Adds a local user. No password is set: nobody can log in with one.", Example: "deploy groups=www-data shell=/bin/sh",
			Args: append(append([]Arg{name}, account()...),
				Arg{Name: "system", Type: Bool, Doc: "a user for a service, with a low number and no home folder"},
				Arg{Name: "create_home", Type: Bool, Default: "true", Doc: "makes the home folder"}, dryRun)},
		{Name: "user.remove", Doc: "Removes a local user. One that does not exist is no failure.", Example: "deploy home=true",
			Args: []Arg{name, {Name: "home", Type: Bool, Doc: "removes the home folder too"}, dryRun}},
		{Name: "user.mod", Doc: "Changes a local user.", Example: "deploy groups=docker append=true",
			Args: append(append([]Arg{name}, account()...),
				Arg{Name: "append", Type: Bool, Doc: "keeps the other groups that the user has"},
				Arg{Name: "lock", Type: String, OneOf: []string{"true", "false"}, Doc: "locks the password, or unlocks it"}, dryRun)},
	}
}

func groupFunctions() []Function {
	name := Arg{Name: "name", Type: String, Required: true, Max: 32, Doc: "name of the group"}
	gid := Arg{Name: "gid", Type: Int, Max: 1<<31 - 1, Doc: "number of the group"}
	return []Function{
		{Name: "group.list", ReadOnly: true, Doc: "Returns the local groups."},
		{Name: "group.info", ReadOnly: true, Doc: "Returns a local group with its members.", Example: "adm", Args: []Arg{name}},
		{Name: "group.add", Doc: "Adds a local group.", Example: "deploy",
			Args: []Arg{name, gid, {Name: "system", Type: Bool, Doc: "a group for a service, with a low number"}, dryRun}},
		{Name: "group.remove", Doc: "Removes a local group. One that does not exist is no failure.", Example: "deploy", Args: []Arg{name, dryRun}},
		{Name: "group.mod", Doc: "Changes a local group.", Example: "docker add=deploy",
			Args: []Arg{name, gid, {Name: "add", Type: List, Doc: "users that become members"},
				{Name: "remove", Type: List, Doc: "users that are members no longer"}, dryRun}},
	}
}
