package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
)

// mutant is a file with one decision changed.
type mutant struct {
	file     string
	line     int
	old, new string
	text     []byte // the whole file
}

func (m mutant) String() string {
	return fmt.Sprintf("%s:%d: %s  →  %s", m.file, m.line, oneLine(m.old), oneLine(m.new))
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	return s
}

var offByOne = map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">", token.EQL: "!=", token.NEQ: "=="}

// mutants lists the changes to try in a file.
func mutants(file string) ([]mutant, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var list []mutant
	text := func(n ast.Node) string { return string(src[set.Position(n.Pos()).Offset:set.Position(n.End()).Offset]) }
	replace := func(n ast.Node, with string) {
		from, to := set.Position(n.Pos()), set.Position(n.End()).Offset
		changed := append([]byte{}, src[:from.Offset]...)
		changed = append(append(changed, with...), src[to:]...)
		list = append(list, mutant{file, from.Line, text(n), with, changed})
	}
	// off makes a condition false, and still uses what stands in it.
	off := func(cond ast.Expr) { replace(cond, "("+text(cond)+") && false") }
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.IfStmt:
			off(n.Cond)
		case *ast.SwitchStmt:
			if n.Tag != nil {
				break
			}
			for _, clause := range n.Body.List {
				for _, cond := range clause.(*ast.CaseClause).List {
					off(cond)
				}
			}
		case *ast.BinaryExpr:
			x, y := text(n.X), text(n.Y)
			switch n.Op {
			case token.LAND:
				replace(n, "("+x+") && ("+y+" || true)")
				replace(n, "("+x+" || true) && ("+y+")")
			case token.LOR:
				replace(n, "("+x+") || ("+y+" && false)")
				replace(n, "("+x+" && false) || ("+y+")")
			default:
				if op, ok := offByOne[n.Op]; ok && !isNil(n.Y) {
					replace(n, x+" "+op+" "+y)
				}
			}
		}
		return true
	})
	return list, nil
}

// isNil spares comparisons that would end in a panic that any test notices.
func isNil(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "nil"
}
