package target

import "strconv"

// setting asks whether a value of a peel's settings meets a condition.
type setting struct {
	key    string
	cond   condition
	negate bool
}

func parseSetting(w word) (test, *SyntaxError) {
	key, cond, negate, serr := parseCondition(w, "I@role:web")
	if serr != nil {
		return nil, serr
	}
	return &setting{key: key.text, cond: cond, negate: negate}, nil
}

func (t *setting) ask(s *subject) (yes, known bool) {
	if s.settings == nil {
		return false, false
	}
	values := s.settings(s.id, t.key)
	for i := range values {
		if t.cond.holds(settingLeaf(&values[i])) {
			return !t.negate, true
		}
	}
	return t.negate && len(values) > 0, true
}

func (t *setting) why(s *subject, yes bool) []string {
	if s.settings == nil {
		return nil
	}
	var out []string
	values := s.settings(s.id, t.key)
	for i, v := range values {
		if len(out) < maxWhy && (!yes || t.negate || t.cond.holds(settingLeaf(&values[i]))) {
			out = append(out, v)
		}
	}
	return out
}

// settingLeaf is a value of a setting: a number when it reads as one.
func settingLeaf(text *string) leaf {
	if n, err := strconv.ParseInt(*text, 10, 64); err == nil && strconv.FormatInt(n, 10) == *text {
		return leaf{kind: numberLeaf, n: n}
	}
	return leaf{kind: textLeaf, text: text}
}
