// Package config fills a daemon's configuration struct from one strict YAML
// file, the environment and flags, and remembers where each value came from.
//
// The struct is the schema. A field is a key named by its yaml tag (else by its
// lower-case name), a struct field is a section, and a key is written with dots:
// nats.jetstream.domain. The value that a field has before Load is its default.
//
//	type Config struct {
//		Listen string      `yaml:"listen" help:"address and port of the API"`
//		Spool  config.Size `yaml:"spool" help:"most that is kept on disk"`
//		NATS   struct {
//			Name  string   `yaml:"name" help:"name of this server"`
//			Peers []string `yaml:"peers" help:"other servers"`
//		} `yaml:"nats"`
//	}
//
// Values are strings, booleans, numbers, time.Duration, Size, whatever
// implements encoding.TextUnmarshaler, pointers to these, and slices of these
// or of structs. There are no maps: a key that nobody declared is a mistake.
// A string with the tag path:"true" is made absolute: one from the file is
// relative to the file's folder, any other one to the working directory.
// A field with the tag secret:"true" is masked when values are shown;
// secret:"url" masks only what is secret in a URL: the password, and parameters
// such as password, key and token.
package config

import (
	"reflect"

	"github.com/rind-project/rind/internal/base/errs"
)

// Source says where values come from. A flag wins over the environment, the
// environment over the file, and the file over the default.
type Source struct {
	File         string            // path of the YAML file; "" for none
	FileRequired bool              // whether a file that does not exist is an error
	Env          []string          // as os.Environ gives it
	Prefix       string            // "RIND" makes RIND_NATS_LISTEN set nats.listen; "" leaves the environment out
	IgnoreEnv    []string          // variables with the prefix that are no keys; "RIND_PEEL_*" stands for all that begin so
	Flags        map[string]string // dotted key to text

	// FlagName is how the flag of a key is written, for messages and origins;
	// nil is "--" and the key.
	FlagName func(key string) string
}

// Validator is implemented by a configuration, or a section of one, that can
// be wrong as a whole. Load calls it for each section and then for the struct,
// once every value is in place. Errors made by Bad are shown with the place
// where their key was set.
type Validator interface{ Validate() error }

// Load fills the struct that into points to. Every mistake is reported at once,
// each with its place; after an error the struct is filled in part only.
func Load(into any, src Source) (*Origins, error) {
	root, err := schemaOf(into)
	if err != nil {
		return nil, err
	}
	if err := uniqueEnv(root, src.Prefix); err != nil {
		return nil, err
	}
	l := &loader{root: root, origins: map[string]string{}}
	l.file(src)
	l.environment(src)
	l.flags(src.Flags, src.FlagName)
	if l.problems.empty() {
		l.validate(root)
	}
	if err := l.problems.err(); err != nil {
		return nil, err
	}
	return newOrigins(root, l.origins), nil
}

// loader holds what one Load has found out so far.
type loader struct {
	root     *node
	origins  map[string]string // key to where it was set, for keys that were
	problems problems
}

// schemaOf returns the tree of keys of the struct that p points to.
func schemaOf(p any) (*node, error) {
	v := reflect.ValueOf(p)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, errs.New(errs.Internal, "config: want a pointer to a struct, got %T", p)
	}
	root := &node{value: v.Elem()}
	if err := root.grow(); err != nil {
		return nil, err
	}
	return root, nil
}
