package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
)

// goTexts returns the texts in the string literals of a Go file. A concatenation is one text.
func goTexts(path string, source []byte) ([]Text, error) {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", path, err)
	}
	v := goVisitor{files: files, path: path}
	v.inspect(file, other)
	return v.texts, nil
}

type goVisitor struct {
	files *token.FileSet
	path  string
	texts []Text
}

// inspect adds the texts below a node. The kind is that of the innermost call around a literal.
func (v *goVisitor) inspect(node ast.Node, kind Kind) {
	ast.Inspect(node, func(child ast.Node) bool {
		switch n := child.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field: // tags are no texts, literals in function types do not exist
			return n.Type != nil && n.Tag == nil
		case *ast.CallExpr:
			v.inspect(n.Fun, kind)
			if inner := kindOfCall(n, kind); inner != noText {
				for _, argument := range n.Args {
					v.inspect(argument, inner)
				}
			}
			return false
		case *ast.BinaryExpr:
			if text, ok := concatenation(n); ok {
				v.add(text, n.Pos(), kind)
				return false
			}
		case *ast.BasicLit:
			if text, ok := unquote(n); ok {
				v.add(text, n.Pos(), kind)
			}
		}
		return true
	})
}

func (v *goVisitor) add(text string, pos token.Pos, kind Kind) {
	line := v.files.Position(pos).Line
	v.texts = append(v.texts, Text{Path: v.path, Line: line, Kind: kind, Text: strings.TrimSpace(text)})
}

var logMethod = regexp.MustCompile(`^(Trace|Debug|Info|Warn|Error|Fatal)f?$`)

// kindOfCall returns the kind of the literals that a call has as arguments.
func kindOfCall(call *ast.CallExpr, outer Kind) Kind {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return outer
	}
	pkg := ""
	if name, ok := selector.X.(*ast.Ident); ok {
		pkg = name.Name
	}
	switch function := selector.Sel.Name; {
	case pkg == "regexp":
		return noText
	case pkg == "errors" && function == "New", pkg == "fmt" && function == "Errorf":
		return errorText
	case pkg != "http" && logMethod.MatchString(function):
		return logMessage
	default:
		return outer
	}
}

// concatenation joins the literals of a + b + c. Other operands, such as names, become a placeholder.
func concatenation(expression ast.Expr) (joined string, ok bool) {
	switch e := expression.(type) {
	case *ast.BasicLit:
		return unquote(e)
	case *ast.ParenExpr:
		return concatenation(e.X)
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, leftIsText := concatenation(e.X)
		right, rightIsText := concatenation(e.Y)
		return orPlaceholder(left, leftIsText) + orPlaceholder(right, rightIsText), leftIsText || rightIsText
	}
	return "", false
}

func orPlaceholder(text string, isText bool) string {
	if isText {
		return text
	}
	return "%s"
}

func unquote(literal *ast.BasicLit) (string, bool) {
	if literal.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(literal.Value)
	return text, err == nil
}
