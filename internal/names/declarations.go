package names

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var generated = regexp.MustCompile(`^swagger/[^/]+/v1/(client|models)/`)

// Declarations returns the names that the Go and swagger files of a module declare, generated files left out.
func Declarations(module fs.FS) ([]Declaration, error) {
	var all []Declaration
	err := fs.WalkDir(module, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		isGo, isAPI := path.Ext(name) == ".go", path.Base(name) == "swagger.json"
		if entry.IsDir() || !isGo && !isAPI || generated.MatchString(name) {
			return nil
		}
		text, err := fs.ReadFile(module, name)
		if err != nil {
			return err
		}
		var declared []Declaration
		if isGo {
			declared, err = goDeclarations(name, text)
		} else {
			declared, err = apiDeclarations(name, text)
		}
		all = append(all, declared...)
		return err
	})
	return all, err
}

// fileVisitor collects the declarations of one Go file.
type fileVisitor struct {
	files    *token.FileSet
	path     string
	topLevel map[ast.Node]bool // specs at package level
	declared []Declaration
}

func goDeclarations(name string, text []byte) ([]Declaration, error) {
	v := &fileVisitor{files: token.NewFileSet(), path: name, topLevel: map[ast.Node]bool{}}
	file, err := parser.ParseFile(v.files, name, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	v.add(Package, file.Name.Name, file.Name.Pos())
	v.add(File, strings.TrimSuffix(path.Base(name), ".go"), file.Name.Pos())
	for _, decl := range file.Decls {
		if group, ok := decl.(*ast.GenDecl); ok {
			for _, spec := range group.Specs {
				v.topLevel[spec] = true
			}
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		v.visit(node)
		return true
	})
	return v.declared, nil
}

func (v *fileVisitor) add(kind Kind, name string, pos token.Pos) {
	if name != "_" {
		v.declared = append(v.declared, Declaration{kind, name, v.path, v.files.Position(pos).Line})
	}
}

func (v *fileVisitor) addAll(kind Kind, names []*ast.Ident) {
	for _, name := range names {
		v.add(kind, name.Name, name.Pos())
	}
}

func (v *fileVisitor) addExpressions(expressions ...ast.Expr) {
	for _, expression := range expressions {
		if name, ok := expression.(*ast.Ident); ok {
			v.add(Local, name.Name, name.Pos())
		}
	}
}

func (v *fileVisitor) visit(node ast.Node) {
	switch n := node.(type) {
	case *ast.FuncDecl:
		v.add(Func, n.Name.Name, n.Name.Pos())
		v.addFields(Local, n.Recv)
	case *ast.FuncType:
		v.addFields(Local, n.TypeParams)
		v.addFields(Local, n.Params)
		v.addFields(Local, n.Results)
	case *ast.TypeSpec:
		v.add(v.kindOf(n, Type), n.Name.Name, n.Name.Pos())
		v.addFields(Local, n.TypeParams)
	case *ast.StructType:
		v.addFields(Field, n.Fields)
	case *ast.InterfaceType:
		v.addFields(Func, n.Methods)
	case *ast.ValueSpec:
		v.addAll(v.kindOf(n, Var), n.Names)
	case *ast.AssignStmt:
		if n.Tok == token.DEFINE {
			v.addExpressions(n.Lhs...)
		}
	case *ast.RangeStmt:
		if n.Tok == token.DEFINE {
			v.addExpressions(n.Key, n.Value)
		}
	case *ast.CallExpr:
		v.visitCall(n)
	case *ast.CompositeLit:
		v.visitLiteral(n)
	}
}

func (v *fileVisitor) kindOf(spec ast.Node, topKind Kind) Kind {
	if v.topLevel[spec] {
		return topKind
	}
	return Local
}

func (v *fileVisitor) addFields(kind Kind, fields *ast.FieldList) {
	if fields == nil {
		return
	}
	for _, field := range fields.List {
		v.addAll(kind, field.Names)
	}
}

// flagMethods are the functions of flag and pflag that declare a flag. They differ in the position of its name.
var flagMethods = regexp.MustCompile(
	`^(Bool|Int|Int32|Int64|Uint|Uint64|Float64|String|StringSlice|StringArray|Duration|Text|Count)?(Func|Var)?P?$`)

var flagName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

func (v *fileVisitor) visitCall(call *ast.CallExpr) {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name == "" {
		return
	}
	if selector.Sel.Name == "NewDesc" && len(call.Args) > 0 {
		v.addText(Metric, call.Args[0])
	}
	if !flagMethods.MatchString(selector.Sel.Name) || len(call.Args) < 2 {
		return
	}
	for _, argument := range call.Args[:2] {
		if text, ok := stringOf(argument); ok {
			if flagName.MatchString(text) {
				v.add(Flag, text, argument.Pos())
			}
			return
		}
	}
}

// visitLiteral finds the names of metrics in prometheus.GaugeOpts{Name: …} and those of commands in
// cobra.Command{Use: …}.
func (v *fileVisitor) visitLiteral(literal *ast.CompositeLit) {
	selector, ok := literal.Type.(*ast.SelectorExpr)
	if !ok {
		return
	}
	isMetric, isCommand := strings.HasSuffix(selector.Sel.Name, "Opts"), selector.Sel.Name == "Command"
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		switch key, _ := pair.Key.(*ast.Ident); {
		case key == nil:
		case isMetric && key.Name == "Name":
			v.addText(Metric, pair.Value)
		case isCommand && key.Name == "Use":
			v.addText(Command, pair.Value)
		case isCommand && key.Name == "Aliases":
			if aliases, ok := pair.Value.(*ast.CompositeLit); ok {
				for _, alias := range aliases.Elts {
					v.addText(Command, alias)
				}
			}
		}
	}
}

// addText adds the first word of a string literal.
func (v *fileVisitor) addText(kind Kind, expression ast.Expr) {
	if text, ok := stringOf(expression); ok && text != "" {
		v.add(kind, strings.Fields(text)[0], expression.Pos())
	}
}

func stringOf(expression ast.Expr) (string, bool) {
	literal, ok := expression.(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(literal.Value)
	return text, err == nil
}

// apiDeclarations returns paths, definitions, properties, parameters and operations of a swagger file.
func apiDeclarations(name string, text []byte) ([]Declaration, error) {
	var document any
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	names := map[string]bool{}
	collectAPI(document, names)
	var declared []Declaration
	for word := range names {
		declared = append(declared, Declaration{Kind: API, Name: word, Path: name, Line: lineOf(string(text), word)})
	}
	slices.SortFunc(declared, func(a, b Declaration) int { return strings.Compare(a.Name, b.Name) })
	return declared, nil
}

func collectAPI(value any, names map[string]bool) {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			collectAPI(element, names)
		}
	case map[string]any:
		for key, element := range v {
			members, isObject := element.(map[string]any)
			text, isText := element.(string)
			switch {
			case isObject && (key == "paths" || key == "definitions" || key == "properties" || key == "parameters"):
				for member := range members {
					names[member] = true
				}
			case isText && (key == "operationId" || key == "name"):
				names[text] = true
			}
			collectAPI(element, names)
		}
	}
}

func lineOf(text, word string) int {
	before, _, _ := strings.Cut(text, strconv.Quote(word))
	return strings.Count(before, "\n") + 1
}
