package target

import "fmt"

// word is a token: a parenthesis, an operator or the text of a term, without
// its quotes.
type word struct {
	kind    wordKind
	text    string
	columns []int // of each byte of text, and of the end
}

type wordKind uint8

const (
	endWord wordKind = iota
	openWord
	closeWord
	andWord
	orWord
	notWord
	termWord
)

func (w word) column() int { return w.columns[0] }

// fail makes an error about the byte of the word's text at i.
func (w word) fail(i int, format string, args ...any) *SyntaxError {
	return &SyntaxError{Column: w.columns[min(i, len(w.columns)-1)], Msg: fmt.Sprintf(format, args...)}
}

// from is the rest of the word behind its first n bytes.
func (w word) from(n int) word {
	return word{kind: w.kind, text: w.text[n:], columns: w.columns[n:]}
}

// lexer cuts an expression into words. Blanks separate words. A parenthesis
// groups where a word could begin; within a word it belongs to the word as long
// as it is in balance, so that E@web(1|2) needs no quotes.
type lexer struct {
	expr string
	at   int
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func (l *lexer) next() (word, *SyntaxError) {
	for l.at < len(l.expr) && blank(l.expr[l.at]) {
		l.at++
	}
	begin := l.at
	if begin == len(l.expr) {
		return word{columns: []int{begin + 1}}, nil
	}
	switch l.expr[begin] {
	case '(':
		l.at++
		return word{kind: openWord, columns: []int{begin + 1}}, nil
	case ')':
		l.at++
		return word{kind: closeWord, columns: []int{begin + 1}}, nil
	}
	return l.term()
}

func (l *lexer) term() (word, *SyntaxError) {
	var text []byte
	w := word{kind: termWord}
	begin, opened, depth, quoted := l.at, 0, 0, false
	add := func(i int) { text, w.columns = append(text, l.expr[i]), append(w.columns, i+1) }
scan:
	for ; l.at < len(l.expr); l.at++ {
		switch c := l.expr[l.at]; {
		case blank(c), c == ')' && depth == 0:
			break scan
		case c == '\'' || c == '"':
			quoted = true
			if serr := l.quote(add); serr != nil {
				return w, serr
			}
		case c == '\\' && l.at+1 < len(l.expr) && !blank(l.expr[l.at+1]):
			add(l.at)
			l.at++
			add(l.at)
		default:
			switch c {
			case '(':
				if depth == 0 {
					opened = l.at
				}
				depth++
			case ')':
				depth--
			}
			add(l.at)
		}
	}
	if depth > 0 {
		return w, &SyntaxError{Column: opened + 1, Msg: "this parenthesis is not closed; one that is part of a value wants quotes"}
	}
	w.text, w.columns = string(text), append(w.columns, l.at+1)
	if len(text) == 0 {
		return w, &SyntaxError{Column: begin + 1, Msg: "there is nothing between the quotes"}
	}
	if !quoted {
		w.kind = operator(w.text)
	}
	return w, nil
}

// quote reads what stands between quotes, as it is; between double quotes \" is
// a quote.
func (l *lexer) quote(add func(int)) *SyntaxError {
	begin, q := l.at, l.expr[l.at]
	for l.at++; l.at < len(l.expr); l.at++ {
		switch c := l.expr[l.at]; {
		case c == q:
			return nil
		case q == '"' && c == '\\' && l.at+1 < len(l.expr) && l.expr[l.at+1] == '"':
			l.at++
		}
		add(l.at)
	}
	return &SyntaxError{Column: begin + 1, Msg: fmt.Sprintf("the quote is not closed; add %c", q)}
}

func operator(text string) wordKind {
	switch text {
	case "and":
		return andWord
	case "or":
		return orWord
	case "not":
		return notWord
	}
	return termWord
}
