package schema

func cpFunctions() []Function {
	return []Function{
		{Name: "cp.get", Doc: "Gets a file that was brought to the server, and puts it in place once it is whole. What an interruption has left is gone on with. `rind cp FILE TARGET:/path` brings the file and runs this.",
			Example: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 /srv/app.tar mode=0640",
			Args: []Arg{{Name: "name", Type: String, Required: true, Max: 64, Doc: "the file's SHA-256, by which alone it can be had"},
				{Name: "dest", Type: String, Required: true, Doc: "absolute path of the file that it becomes"},
				{Name: "mode", Type: String, Max: 8, Doc: "permission in octal digits; that of the file that is there, or 0644, without it"},
				{Name: "user", Type: String, Doc: "name or number of the owner"},
				{Name: "group", Type: String, Doc: "name or number of the group"}}},
		{Name: "cp.push", Doc: "Brings a file to the server, for whoever asked. `rind cp TARGET:/path FOLDER` runs this, and fetches what comes.", Example: "/var/log/syslog",
			Args: []Arg{{Name: "path", Type: String, Required: true, Doc: "absolute path of the file"}}},
	}
}
