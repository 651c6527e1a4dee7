package schema

// maxContent is what fits into a job beside everything else.
const maxContent = 384 << 10

var dryRun = Arg{Name: "test", Type: Bool, Doc: "says what would change, and changes nothing"}

func testFunctions() []Function {
	return []Function{
		{Name: "test.ping", ReadOnly: true, Instant: true, Doc: "Answers true: the peel is there and takes jobs."},
		{Name: "test.echo", ReadOnly: true, Instant: true, Doc: "Returns the text that it was given.", Example: "'hello there'",
			Args: []Arg{{Name: "text", Type: String, Required: true, Max: maxContent, Doc: "what comes back"}}},
		{Name: "test.fail", ReadOnly: true, Instant: true, Doc: "Fails, to see what a failure looks like.", Example: "'out of luck' code=3",
			Args: []Arg{{Name: "message", Type: String, Default: "asked to fail", Doc: "why it fails"},
				{Name: "code", Type: Int, Default: "1", Max: 255, Doc: "exit code"}}},
		{Name: "test.sleep", ReadOnly: true, Doc: "Waits, then answers how long it did.", Example: "5s",
			Args: []Arg{{Name: "time", Type: Duration, Required: true, Doc: "how long to wait"}}},
		{Name: "test.version", ReadOnly: true, Instant: true, Doc: "Returns the version of the peel."},
	}
}

func cmdFunctions() []Function {
	surroundings := []Arg{
		{Name: "cwd", Type: String, Doc: "folder to run it in; / without it"},
		{Name: "timeout", Type: Duration, Doc: "ends it earlier than the job does"},
		{Name: "stdin", Type: String, Max: maxContent, Doc: "text that it reads"},
		{Name: "env", Type: List, Doc: "more environment, as NAME=VALUE,…"},
		{Name: "user", Type: String, Doc: "runs it as this user; the peel has to be root"},
	}
	return []Function{
		{Name: "cmd.run", Doc: "Runs a command by /bin/sh and returns its outputs and exit code. Of each output the first and the last 256 KiB are kept.",
			Example: "'df -h /' timeout=10s",
			Args:    append([]Arg{{Name: "command", Type: String, Required: true, Max: maxContent, Doc: "the command line, quoted as one argument"}}, surroundings...)},
		{Name: "cmd.script", Doc: "Runs a script by the interpreter that its first line names (#!), or by /bin/sh. The script is kept in a private file while it runs.",
			Example: `"$(cat check.sh)" args=fast,all`,
			Args: append([]Arg{{Name: "script", Type: String, Required: true, Max: maxContent, Doc: "the text of the script"},
				{Name: "args", Type: List, Doc: "arguments of the script"}}, surroundings...)},
		{Name: "cmd.which", ReadOnly: true, Doc: "Returns where a program is, in the search path that functions use.", Example: "systemctl",
			Args: []Arg{{Name: "program", Type: String, Required: true, Doc: "name of the program"}}},
	}
}

func factsFunctions() []Function {
	return []Function{
		{Name: "facts.items", ReadOnly: true, Doc: "Returns all facts of the host, as they are now."},
		{Name: "facts.get", ReadOnly: true, Doc: "Returns one fact of the host, as it is now.", Example: "mem.total",
			Args: []Arg{{Name: "key", Type: String, Required: true, Doc: "dotted key, such as os or mem.total"},
				{Name: "default", Type: String, Doc: "returned when there is no such fact"}}},
		{Name: "facts.item", ReadOnly: true, Doc: "Returns several facts by their keys.", Example: "os os_version mem.total",
			Args: []Arg{{Name: "keys", Type: List, Required: true, Many: true, Doc: "dotted keys"}}},
		{Name: "facts.has", ReadOnly: true, Doc: "Tells whether there is a fact, or whether it has a value.", Example: "os Debian",
			Args: []Arg{{Name: "key", Type: String, Required: true, Doc: "dotted key"},
				{Name: "value", Type: String, Doc: "what it is to be"}}},
		{Name: "facts.ls", ReadOnly: true, Doc: "Returns the keys of all facts."},
	}
}

func sysFunctions() []Function {
	return []Function{
		{Name: "sys.list", ReadOnly: true, Doc: "Returns the names of the functions that the peel has.", Example: "'file.*'",
			Args: []Arg{{Name: "match", Type: String, Default: "*", Doc: "glob of names, or a family such as file"}}},
		{Name: "sys.doc", ReadOnly: true, Doc: "Returns the documentation of functions.", Example: "file.write",
			Args: []Arg{{Name: "match", Type: String, Default: "*", Doc: "name, glob of names, or a family such as file"}}},
	}
}

func cronFunctions() []Function {
	return []Function{
		{Name: "cron.list", ReadOnly: true, Doc: "Returns the entries of the system's and the users' crontabs.", Example: "user=root",
			Args: []Arg{{Name: "user", Type: String, Doc: "only what runs as this user"}}},
	}
}
