// Package version tells which build of the program is running. It reads the
// build information that the Go linker leaves in every binary, so an ordinary
// go build needs no flags; a release may set the version by
//
//	-ldflags "-X github.com/rind-project/rind/internal/base/version.release=1.2.3"
package version

import (
	"runtime"
	"runtime/debug"
)

// release is set by the linker, never by the program.
var release string

// Unknown stands for the version of a build that does not carry one.
const Unknown = "devel"

// Info describes the running binary.
type Info struct {
	Version string `json:"version"` // "v1.2.3", a pseudo-version, or Unknown
	Commit  string `json:"commit"`  // short revision, "+changes" when the tree was dirty; "" without VCS data
	Go      string `json:"go"`      // the toolchain, such as "go1.26.8"
}

// Get returns what is known about the running binary.
func Get() Info {
	build, _ := debug.ReadBuildInfo()
	return from(build, release)
}

// from works the answer out; build is nil in a binary without modules.
func from(build *debug.BuildInfo, release string) Info {
	info := Info{Version: Unknown, Go: runtime.Version()}
	if build != nil {
		if v := build.Main.Version; v != "" && v != "(devel)" {
			info.Version = v
		}
		if build.GoVersion != "" {
			info.Go = build.GoVersion
		}
		info.Commit = commit(build.Settings)
	}
	if release != "" {
		info.Version = release
	}
	return info
}

// commitLength is how much of a revision identifies it to a person.
const commitLength = 12

func commit(settings []debug.BuildSetting) string {
	var revision, suffix string
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(len(s.Value), commitLength)]
		case s.Key == "vcs.modified" && s.Value == "true":
			suffix = "+changes"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + suffix
}

// String returns one line for a person: "v1.2.3 (commit 0123456789ab, go1.26.8)".
func (i Info) String() string {
	if i.Commit == "" {
		return i.Version + " (" + i.Go + ")"
	}
	return i.Version + " (commit " + i.Commit + ", " + i.Go + ")"
}
