package schema

func fileFunctions() []Function {
	path := Arg{Name: "path", Type: String, Required: true, Doc: "absolute path"}
	mode := Arg{Name: "mode", Type: String, Max: 8, Doc: "permission in octal digits, such as 0644"}
	owner := Arg{Name: "owner", Type: String, Doc: "name or number of the user"}
	group := Arg{Name: "group", Type: String, Doc: "name or number of the group"}
	recursive := Arg{Name: "recursive", Type: Bool, Doc: "with all that is below; links are not followed"}
	coding := Arg{Name: "encoding", Type: String, Default: "text", OneOf: []string{"text", "base64"}, Doc: "of the content"}
	follow := Arg{Name: "follow", Type: Bool, Doc: "takes what a link points to; without it a link is refused"}
	return append([]Function{
		{Name: "file.read", ReadOnly: true, Doc: "Returns the content of a file. A file that is over the limit is refused, unless a part of it is asked for.", Example: "/etc/hosts",
			Args: []Arg{path, {Name: "offset", Type: Size, Doc: "where to begin"},
				{Name: "limit", Type: Size, Max: 4 << 20, Doc: "how many bytes; the whole file, up to 1 MiB, without it"}, coding}},
		{Name: "file.stat", ReadOnly: true, Doc: "Returns type, size, permission, owner and times of a file.", Example: "/etc/passwd",
			Args: []Arg{path, {Name: "follow", Type: Bool, Doc: "describes what a link points to instead of the link"}}},
		{Name: "file.find", ReadOnly: true, Doc: "Returns the files below a folder. Links are not followed, nor other file systems entered.", Example: "/var/log name='*.log' min_size=1MiB",
			Args: []Arg{path, {Name: "name", Type: String, Doc: "glob of the name without folder"},
				{Name: "type", Type: String, OneOf: []string{"file", "folder", "link", "other"}, Doc: "only this type"},
				{Name: "min_size", Type: Size, Doc: "only files of at least this size"},
				{Name: "newer", Type: Duration, Doc: "only what changed within this time"},
				{Name: "older", Type: Duration, Doc: "only what did not change within this time"},
				{Name: "depth", Type: Int, Default: "32", Max: 256, Doc: "how many folders deep"},
				{Name: "limit", Type: Int, Default: "1000", Max: 10000, Doc: "how many are returned; when there are more the function fails, with these"}}},
		{Name: "file.hash", ReadOnly: true, Doc: "Returns the checksum of a file.", Example: "/usr/bin/env",
			Args: []Arg{path, {Name: "algorithm", Type: String, Default: "sha256", OneOf: []string{"sha256", "sha512", "sha1", "md5"}, Doc: "kind of checksum"}}},
		{Name: "file.write", Doc: "Writes a file as a whole, and returns what changed. The new file takes the place of the old one at once, and keeps its permission and owner unless others are given.",
			Example: "/etc/motd 'Welcome' mode=0644",
			Args:    []Arg{path, {Name: "content", Type: String, Required: true, Max: maxContent, Doc: "all that the file is to hold"}, mode, owner, group, coding, {Name: "parents", Type: Bool, Doc: "makes the folders that are missing"}, follow, dryRun}},
		{Name: "file.append", Doc: "Adds lines to the end of a file, those that it does not have yet. The file is made when there is none.", Example: "/etc/modules loop",
			Args: []Arg{path, {Name: "text", Type: String, Required: true, Max: maxContent, Doc: "one or more lines"}, follow, dryRun}},
		{Name: "file.replace", Doc: "Replaces what a regular expression (RE2) finds in a file. ^ and $ stand for the ends of lines; $1 in the replacement is the first group.",
			Example: "/etc/ssh/sshd_config '^#?PermitRootLogin .*' 'PermitRootLogin no'",
			Args: []Arg{path, {Name: "pattern", Type: String, Required: true, Max: 1 << 10, Doc: "regular expression"},
				{Name: "replacement", Type: String, Required: true, Doc: "what takes the place"},
				{Name: "literal", Type: Bool, Doc: "takes pattern and replacement as they are"}, follow, dryRun}},
	}, treeFunctions(path, mode, owner, group, recursive)...)
}

// treeFunctions are those that change what a file is, not what it holds.
func treeFunctions(path, mode, owner, group, recursive Arg) []Function {
	needMode, needOwner := mode, owner
	needMode.Required, needOwner.Required = true, true
	needOwner.Doc = "name or number of the user, or USER:GROUP, or :GROUP"
	return []Function{
		{Name: "file.remove", Doc: "Removes a file, a link or an empty folder. The folders of the system are refused.", Example: "/tmp/old recursive=true",
			Args: []Arg{path, recursive, dryRun}},
		{Name: "file.mkdir", Doc: "Makes a folder.", Example: "/srv/www mode=0750 owner=www-data",
			Args: []Arg{path, mode, owner, group, {Name: "parents", Type: Bool, Default: "true", Doc: "makes the folders above too"}, dryRun}},
		{Name: "file.chmod", Doc: "Sets the permission of a file.", Example: "/srv/www 0750", Args: []Arg{path, needMode, recursive, dryRun}},
		{Name: "file.chown", Doc: "Sets the owner of a file.", Example: "/srv/www www-data:www-data", Args: []Arg{path, needOwner, recursive, dryRun}},
	}
}
