package target

import "strings"

// count is what an expression has of that which is limited.
type count struct{ terms, regexps int }

// parser reads words by recursive descent: not binds closest, then and, then or.
type parser struct {
	lex   lexer
	word  word
	depth int
	count count
}

func parse(expr string) (node, count, *SyntaxError) {
	p := &parser{lex: lexer{expr: expr}}
	if serr := p.advance(); serr != nil {
		return nil, p.count, serr
	}
	if p.word.kind == endWord {
		return nil, p.count, &SyntaxError{Column: 1, Msg: "the target is empty; use * for every peel"}
	}
	n, serr := p.or()
	switch {
	case serr != nil:
		return nil, p.count, serr
	case p.word.kind == closeWord:
		return nil, p.count, p.word.fail(0, "this parenthesis closes nothing")
	case p.word.kind != endWord:
		return nil, p.count, p.word.fail(0, "and or or is missing before this; a value with blanks wants quotes, a list is L@a,b")
	}
	return n, p.count, nil
}

func (p *parser) advance() (serr *SyntaxError) {
	p.word, serr = p.lex.next()
	return serr
}

// deeper counts what is nested, until the function that it returns is called.
func (p *parser) deeper() (func(), *SyntaxError) {
	if p.depth++; p.depth > MaxDepth {
		return nil, p.word.fail(0, "this is nested too deeply; %d levels are allowed", MaxDepth)
	}
	return func() { p.depth-- }, nil
}

func (p *parser) or() (node, *SyntaxError) {
	parts, serr := p.list(orWord, p.and)
	if serr != nil || len(parts) == 1 {
		return one(parts), serr
	}
	return &or{parts}, nil
}

func (p *parser) and() (node, *SyntaxError) {
	parts, serr := p.list(andWord, p.unary)
	if serr != nil || len(parts) == 1 {
		return one(parts), serr
	}
	return &and{parts}, nil
}

func one(parts []node) node {
	if len(parts) == 0 {
		return nil
	}
	return parts[0]
}

// list reads parts with an operator between them.
func (p *parser) list(operator wordKind, part func() (node, *SyntaxError)) (parts []node, serr *SyntaxError) {
	for {
		n, serr := part()
		if serr != nil {
			return nil, serr
		}
		parts = append(parts, n)
		if p.word.kind != operator {
			return parts, nil
		}
		if serr := p.advance(); serr != nil {
			return nil, serr
		}
	}
}

func (p *parser) unary() (node, *SyntaxError) {
	w := p.word
	switch w.kind {
	case endWord:
		return nil, w.fail(0, "a target is missing at the end")
	case closeWord:
		return nil, w.fail(0, "a target is missing before the parenthesis")
	case andWord, orWord:
		return nil, w.fail(0, "a target is missing before %s; a peel of that name is L@%[1]s", w.text)
	}
	up, serr := p.deeper()
	if serr != nil {
		return nil, serr
	}
	defer up()
	if serr := p.advance(); serr != nil {
		return nil, serr
	}
	switch w.kind {
	case notWord:
		n, serr := p.unary()
		if serr != nil {
			return nil, serr
		}
		return &not{n}, nil
	case openWord:
		return p.parenthesis(w)
	}
	return p.term(w)
}

func (p *parser) parenthesis(open word) (node, *SyntaxError) {
	n, serr := p.or()
	switch {
	case serr != nil:
		return nil, serr
	case p.word.kind == endWord:
		return nil, open.fail(0, "this parenthesis is not closed")
	case p.word.kind != closeWord:
		return nil, p.word.fail(0, "and or or is missing before this; a value with blanks wants quotes, a list is L@a,b")
	}
	return n, p.advance()
}

// term reads a glob, or a letter, an at sign and what is asked.
func (p *parser) term(w word) (node, *SyntaxError) {
	if p.count.terms++; p.count.terms > MaxTerms {
		return nil, w.fail(0, "there are too many terms; %d are allowed, and L@a,b,c is one", MaxTerms)
	}
	var t test
	var serr *SyntaxError
	letter, value := byte(0), w
	if len(w.text) > 1 && w.text[1] == '@' {
		letter, value = w.text[0], w.from(2)
		if value.text == "" && strings.IndexByte(letters, letter) >= 0 {
			return nil, value.fail(0, "something is missing behind %s", w.text)
		}
	}
	switch letter {
	case 0:
		t, serr = parseIDGlob(w)
	case 'L':
		t, serr = parseList(value)
	case 'E', 'P':
		if p.count.regexps++; p.count.regexps > MaxRegexps {
			return nil, w.fail(0, "there are too many regular expressions; %d are allowed", MaxRegexps)
		}
		if letter == 'E' {
			t, serr = parseIDRegexp(value)
		} else {
			t, serr = parseFactRegexp(value)
		}
	case 'G':
		t, serr = parseFact(value)
	case 'I':
		t, serr = parseSetting(value)
	case 'S':
		t, serr = parseSubnet(value)
	case 'N':
		return parseGroup(value, w.column())
	default:
		return nil, w.fail(0, "%s", unknownLetter(letter))
	}
	if serr != nil {
		return nil, serr
	}
	return &term{text: w.text, column: w.column(), test: t}, nil
}

// letters are those that may stand before an at sign.
const letters = "LEGPISN"

func unknownLetter(c byte) string {
	const known = "L@ list, E@ regular expression, G@ fact, P@ regular expression over a fact, I@ setting, S@ subnet, N@ named group"
	if upper := c - 'a' + 'A'; c >= 'a' && c <= 'z' && strings.IndexByte(letters, upper) >= 0 {
		return "the letter is a capital: write " + string(upper) + "@"
	}
	return "no kind of target begins like this; there are " + known
}
