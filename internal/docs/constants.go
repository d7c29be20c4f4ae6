package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Constants returns the constants that the Go files of a folder, tests excluded, declare with the type, and their
// values. With an empty type it returns all constants of texts without a type.
func Constants(t *testing.T, folder, typeName string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(t, err)
	found := map[string]string{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, declaration := range syntax.Decls {
			if constants, is := declaration.(*ast.GenDecl); is && constants.Tok == token.CONST {
				addConstants(found, constants, typeName)
			}
		}
	}
	return found
}

func addConstants(found map[string]string, constants *ast.GenDecl, typeName string) {
	for _, spec := range constants.Specs {
		value := spec.(*ast.ValueSpec)
		declared, _ := value.Type.(*ast.Ident)
		if declared == nil && typeName != "" || declared != nil && declared.Name != typeName {
			continue
		}
		for i, name := range value.Names {
			if i < len(value.Values) {
				if literal, is := value.Values[i].(*ast.BasicLit); is && literal.Kind == token.STRING {
					found[name.Name], _ = strconv.Unquote(literal.Value)
				}
			}
		}
	}
}
