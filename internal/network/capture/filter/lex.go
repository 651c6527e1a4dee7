package filter

import (
	"fmt"
	"strings"

	"github.com/rind-project/rind/internal/base/errs"
)

// kind of a token.
type kind byte

const (
	end    kind = iota
	word        // a keyword, a name, a number or an address
	symbol      // an operator or a parenthesis
)

type token struct {
	kind   kind
	text   string
	column int  // from 1
	quoted bool // by a backslash: a name, and no keyword
}

// String names the token in a message.
func (t token) String() string {
	if t.kind == end {
		return "the end"
	}
	return fmt.Sprintf("%q", t.text)
}

// compiler is the state of one compilation. The position in the tokens and
// where headers are found both move on from left to right.
type compiler struct {
	text   string
	opts   Options
	tokens []token
	next   int
	last   qualifiers // of the identifier before
	header layers
	shifts bool // the program uses scratchShift
}

// fail is the error at a token.
func (c *compiler) fail(t token, format string, args ...any) error {
	return errs.New(errs.Invalid, "filter %q, column %d: %s", c.text, t.column, fmt.Sprintf(format, args...))
}

// symbols are tried in order, longer ones first.
var symbols = [...]string{"&&", "||", "<<", ">>", "!=", "==", "<=", ">=", "(", ")", "[", "]", "!", "=", "<", ">", "&", "|", "^", "+", "*", "/", "%", ":", "-"}

// inWord reports whether b can stand in a word; in brackets a colon parts the
// offset from the size, and elsewhere it is part of an address.
func inWord(b byte, bracket bool) bool {
	switch {
	case b >= '0' && b <= '9', b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_', b == '.':
		return true
	}
	return b == ':' && !bracket
}

// lex splits the text into tokens.
func (c *compiler) lex() error {
	brackets := 0
	for at := 0; at < len(c.text); {
		t := token{column: at + 1}
		b, bracket := c.text[at], brackets > 0
		switch {
		case b == ' ' || b == '\t' || b == '\n' || b == '\r':
			at++
			continue
		case b == '\\' && at+1 < len(c.text) && inWord(c.text[at+1], true):
			t.quoted = true
			at++
			fallthrough
		case inWord(b, bracket):
			t.kind, t.text = word, c.word(at, bracket)
		default:
			for _, s := range symbols {
				if strings.HasPrefix(c.text[at:], s) {
					t.kind, t.text = symbol, s
					break
				}
			}
			if t.kind == end {
				t.text = string([]rune(c.text[at:])[:1])
				return c.fail(t, "%q means nothing in a filter", t.text)
			}
			switch t.text {
			case "[":
				brackets++
			case "]":
				brackets--
			}
		}
		at += len(t.text)
		c.tokens = append(c.tokens, t)
	}
	c.tokens = append(c.tokens, token{column: len(c.text) + 1})
	return nil
}

// word returns the word at a place. A hyphen belongs to a name, such as
// tcp-syn or ftp-data, when a letter stands on both sides; between numbers it
// makes a range of ports.
func (c *compiler) word(at int, bracket bool) string {
	stop := at
	for stop < len(c.text) {
		b := c.text[stop]
		hyphen := b == '-' && stop > at && stop+1 < len(c.text) && inWord(c.text[stop+1], true) && !bracket
		if !hyphen && !inWord(b, bracket) {
			break
		}
		stop++
	}
	return c.text[at:stop]
}

func (c *compiler) peek() token { return c.tokens[c.next] }

func (c *compiler) take() token {
	t := c.tokens[c.next]
	if t.kind != end {
		c.next++
	}
	return t
}

// is reports whether the next token is one of these keywords or symbols.
func (c *compiler) is(texts ...string) bool { return c.isAt(c.next, texts...) }

func (c *compiler) isAt(at int, texts ...string) bool {
	if at >= len(c.tokens) || c.tokens[at].kind == end || c.tokens[at].quoted {
		return false
	}
	for _, s := range texts {
		if c.tokens[at].text == s {
			return true
		}
	}
	return false
}

// accept takes the next token when it is one of these.
func (c *compiler) accept(texts ...string) bool {
	if !c.is(texts...) {
		return false
	}
	c.next++
	return true
}
