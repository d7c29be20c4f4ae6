package query

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

type tokenKind int

const (
	tokenEnd    tokenKind = iota
	tokenWord             // letters, digits and some more characters; keywords are words, too
	tokenQuoted           // text in quotes, without them
	tokenSymbol           // an operator or a bracket
)

type token struct {
	kind   tokenKind
	text   string
	column int // from 1, in characters
}

// symbols are tried in this order, longer ones first.
var symbols = []string{"==", "!=", "=~", "!~", "&&", "||", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ","}

func isWordByte(c byte) bool {
	letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
	digit := c >= '0' && c <= '9'
	return letter || digit || strings.IndexByte(`_-./:*+?^$@%\`, c) >= 0
}

// tokenize divides text into tokens. The last one is tokenEnd.
func tokenize(text string) (tokens []token, err error) {
	at, column := 0, 1 // byte offset; position in characters
	for {
		for at < len(text) && strings.IndexByte(" \t\r\n", text[at]) >= 0 {
			at++
			column++
		}
		if at == len(text) {
			return append(tokens, token{tokenEnd, "", column}), nil
		}
		t := token{tokenSymbol, "", column}
		switch length := wordLength(text[at:]); {
		case length > 0:
			t.kind = tokenWord
			t.text = text[at : at+length]
			at += length
			column += length
		case text[at] == '"' || text[at] == '\'':
			closing := strings.IndexByte(text[at+1:], text[at])
			if closing < 0 {
				return nil, &Error{column, "the quotation has no end"}
			}
			t.kind = tokenQuoted
			t.text = text[at+1 : at+1+closing]
			at += closing + 2
			column += utf8.RuneCountInString(t.text) + 2
		default:
			t.text = symbolPrefix(text[at:])
			if t.text == "" {
				c, _ := utf8.DecodeRuneInString(text[at:])
				return nil, &Error{column, fmt.Sprintf("%q must be in quotes", c)}
			}
			at += len(t.text)
			column += len(t.text)
		}
		tokens = append(tokens, t)
	}
}

func wordLength(text string) (length int) {
	for length < len(text) && isWordByte(text[length]) {
		length++
	}
	return length
}

func symbolPrefix(text string) string {
	for _, s := range symbols {
		if strings.HasPrefix(text, s) {
			return s
		}
	}
	return ""
}
