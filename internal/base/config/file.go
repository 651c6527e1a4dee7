package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rind-project/rind/internal/base/errs"
)

// maxFile is far above the size of a configuration that a person wrote.
const maxFile = 1 << 20

// file takes the values of the YAML file.
func (l *loader) file(src Source) {
	if src.File == "" {
		return
	}
	text, err := readFile(src.File)
	if errors.Is(err, fs.ErrNotExist) {
		if src.FileRequired {
			l.problems.add(errs.New(errs.NotFound, "the config file %s does not exist", src.File))
		}
		return
	}
	if err != nil {
		l.problems.add(err)
		return
	}
	doc, err := parse(src.File, text)
	if err != nil {
		l.problems.add(err)
		return
	}
	if doc != nil {
		d := decoder{
			loader: l, root: l.root, origin: "file ", dir: filepath.Dir(src.File),
			at: func(line int) string { return fmt.Sprintf("%s:%d", src.File, line) },
		}
		d.section(doc, l.root)
	}
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reading the config file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the config file: %w", err)
	}
	if len(text) > maxFile {
		return nil, errs.New(errs.TooLarge, "the config file %s has more than %d bytes", name, maxFile)
	}
	return text, nil
}

// parse returns the one document of the text, or nil when the text is empty.
func parse(name string, text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	var doc, second yaml.Node
	err := dec.Decode(&doc)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, syntaxError(name, err)
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, syntaxError(name, err)
		}
		return nil, fmt.Errorf("%s:%d: a second document begins; a config file holds one", name, second.Line)
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil, nil
	}
	return doc.Content[0], nil
}

// syntaxError moves the line, which the parser has in its text, to the front.
func syntaxError(name string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if number, message, ok := strings.Cut(rest, ": "); ok {
			if line, err := strconv.Atoi(number); err == nil {
				return fmt.Errorf("%s:%d: this is not YAML: %s", name, line, message)
			}
		}
	}
	return fmt.Errorf("%s: this is not YAML: %s", name, text)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }
