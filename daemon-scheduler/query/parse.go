package query

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
)

// parser goes over the tokens once, by recursive descent.
type parser struct {
	tokens  []token
	nesting int
	terms   int
	states  int // of all patterns
}

func (p *parser) next() token { return p.tokens[0] }

func (p *parser) take() token {
	t := p.tokens[0]
	if t.kind != end {
		p.tokens = p.tokens[1:]
	}
	return t
}

// is tells whether the next token is one of these words or symbols, and takes it.
func (p *parser) is(spellings ...string) bool {
	for _, s := range spellings {
		if t := p.next(); t.text == s && (t.kind == word || t.kind == symbol) {
			p.take()
			return true
		}
	}
	return false
}

// wrong says that the next token is not what is expected.
func (p *parser) wrong(expected string) error {
	t := p.next()
	if t.kind == end {
		return &Error{t.column, "the query ends where " + expected + " is expected"}
	}
	return &Error{t.column, fmt.Sprintf("%.40q is not %s", t.text, expected)}
}

func (p *parser) or() (predicate, error) {
	return p.chain(p.and, either, "or", "||")
}

func (p *parser) and() (predicate, error) {
	return p.chain(p.not, both, "and", "&&")
}

func (p *parser) chain(operand func() (predicate, error), join func(a, b predicate) predicate, spellings ...string) (predicate, error) {
	first, err := operand()
	for err == nil && p.is(spellings...) {
		var second predicate
		if second, err = operand(); err == nil {
			first = join(first, second)
		}
	}
	return first, err
}

func (p *parser) not() (predicate, error) {
	at := p.next().column
	if p.nesting++; p.nesting > mostNesting {
		return nil, &Error{at, fmt.Sprintf("nested deeper than %d", mostNesting)}
	}
	defer func() { p.nesting-- }()
	switch {
	case p.is("not", "!"):
		negated, err := p.not()
		if err != nil {
			return nil, err
		}
		return not(negated), nil
	case p.is("("):
		inner, err := p.or()
		if err == nil && !p.is(")") {
			err = p.wrong("a closing parenthesis, and or or")
		}
		return inner, err
	}
	return p.comparison()
}

// comparison is a subject, an operator and what that needs.
func (p *parser) comparison() (predicate, error) {
	if p.terms++; p.terms > mostTerms {
		return nil, &Error{p.next().column, fmt.Sprintf("more than %d comparisons", mostTerms)}
	}
	of, boolean, err := p.subject()
	if err != nil {
		return nil, err
	}
	switch {
	case p.is("exists"):
		return of.exists(), nil
	case p.is("not_exists"), p.two("!", "exists"):
		return not(of.exists()), nil
	case p.is("==", "equals"):
		return p.equal(of, boolean)
	case p.is("!=", "not_equals"):
		return negated(p.equal(of, boolean))
	case p.is("=~", "matches"):
		return p.pattern(of)
	case p.is("!~", "not_matches"):
		return negated(p.pattern(of))
	case p.is("in"):
		return p.list(of, boolean)
	case p.is("not_in"), p.two("!", "in"):
		return negated(p.list(of, boolean))
	}
	return nil, p.wrong("an operator: ==, !=, =~, !~, in, not_in, exists or !exists")
}

func negated(p predicate, err error) (predicate, error) {
	if err != nil {
		return nil, err
	}
	return not(p), nil
}

// two takes two tokens that follow one another, or none.
func (p *parser) two(first, second string) bool {
	if p.next().kind != symbol || p.next().text != first || p.tokens[1].kind != word || p.tokens[1].text != second {
		return false
	}
	p.tokens = p.tokens[2:]
	return true
}

func (p *parser) subject() (of subject, boolean bool, err error) {
	t := p.next()
	name, isAttribute := strings.CutPrefix(t.text, "attribute:")
	switch {
	case t.kind == word && isAttribute && name != "":
		of = attribute(name)
	case t.kind == word && t.text == "ec2InstanceId":
		of = ec2InstanceID
	case t.kind == word && t.text == "agentConnected":
		of, boolean = agentConnected, true
	default:
		return nil, false, p.wrong("a subject: attribute:<name>, ec2InstanceId or agentConnected")
	}
	p.take()
	return of, boolean, nil
}

func (p *parser) argument(boolean bool) (string, error) {
	t := p.next()
	switch {
	case t.kind != word && t.kind != quoted:
		return "", p.wrong("a value")
	case boolean && t.text != "true" && t.text != "false":
		return "", p.wrong("true or false")
	}
	p.take()
	return t.text, nil
}

func (p *parser) equal(of subject, boolean bool) (predicate, error) {
	value, err := p.argument(boolean)
	if err != nil {
		return nil, err
	}
	return of.oneOf([]string{value}), nil
}

func (p *parser) pattern(of subject) (predicate, error) {
	at := p.next()
	text, err := p.argument(false)
	if err != nil {
		return nil, err
	}
	if len(text) > mostPattern {
		return nil, &Error{at.column, fmt.Sprintf("the pattern is longer than %d bytes", mostPattern)}
	}
	if _, err := regexp.Compile(text); err != nil { // by itself: it must not reach out of the group below
		return nil, &Error{at.column, "not a pattern: " + strings.TrimPrefix(err.Error(), "error parsing regexp: ")}
	}
	whole := "^(?:" + text + ")$"
	if p.states += states(whole); p.states > mostStates {
		return nil, &Error{at.column, "the patterns repeat too much"}
	}
	pattern, err := regexp.Compile(whole)
	if err != nil {
		return nil, &Error{at.column, "not a pattern: " + err.Error()}
	}
	return of.like(pattern), nil
}

// states is how large a pattern, which is one, is as a machine: .{1000} is short, and takes a thousand times as long as a dot to match.
func states(pattern string) int {
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0 // as Compile tells
	}
	machine, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0
	}
	return len(machine.Inst)
}

func (p *parser) list(of subject, boolean bool) (predicate, error) {
	closing := "]"
	switch {
	case p.is("["):
	case p.is("("):
		closing = ")"
	default:
		return nil, p.wrong("a list: [a, b]")
	}
	var values []string
	for {
		at := p.next().column
		value, err := p.argument(boolean)
		if err != nil {
			return nil, err
		}
		if values = append(values, value); len(values) > mostList {
			return nil, &Error{at, fmt.Sprintf("more than %d values", mostList)}
		}
		if p.is(closing) {
			return of.oneOf(values), nil
		}
		if !p.is(",") {
			return nil, p.wrong("a comma or " + closing)
		}
	}
}
