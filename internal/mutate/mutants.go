package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
)

// mutant is one decision changed.
type mutant struct {
	id       int // from 1
	file     string
	line     int
	old, new string
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

// source is a file with all its mutants in it, each of them asleep: text asks
// the function of helper which one is to wake.
type source struct {
	file, pkg string
	mutants   []mutant
	text      []byte
}

// helper is what a package's changed files call. A mutant that is asked for
// has been reached, and that it was is recorded for the first run of a test.
const helper = `package %s

import (
	"os"
	"strconv"
	"sync"
)

var (
	mutantAwake, _ = strconv.Atoi(os.Getenv("MUTANT"))
	mutantRecord   = os.Getenv("MUTANT_RECORD")
	mutantSeen     sync.Map
)

func mutant_(id int) bool {
	if mutantRecord != "" {
		if _, seen := mutantSeen.LoadOrStore(id, true); !seen {
			f, err := os.OpenFile(mutantRecord, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
			if err != nil {
				panic(err)
			}
			defer f.Close()
			f.WriteString(strconv.Itoa(id) + "\n")
		}
	}
	return id == mutantAwake
}
`

// instrument reads a file and numbers its mutants from first on.
func instrument(file string, first int) (source, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return source{}, err
	}
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, src, parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	e := &editor{set: set, src: src, next: first, before: map[int]string{}, after: map[int]string{}}
	e.out = source{file: file, pkg: tree.Name.Name}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			return n.Tok != token.CONST // a constant cannot ask
		case *ast.IfStmt:
			e.off(n.Cond)
		case *ast.SwitchStmt:
			if n.Tag != nil {
				break
			}
			for _, clause := range n.Body.List {
				for _, cond := range clause.(*ast.CaseClause).List {
					e.off(cond)
				}
			}
		case *ast.BinaryExpr:
			e.binary(n)
		}
		return true
	})
	e.out.text = e.apply()
	return e.out, nil
}

// editor collects insertions, so that mutants nest: a file is visited from the
// outside in, so what comes later stands further inside.
type editor struct {
	set           *token.FileSet
	src           []byte
	next          int
	before, after map[int]string // by offset: what opens, what closes there
	out           source
}

func (e *editor) offset(p token.Pos) int { return e.set.Position(p).Offset }

func (e *editor) text(n ast.Node) string {
	return string(e.src[e.offset(n.Pos()):e.offset(n.End())])
}

func (e *editor) wrap(n ast.Node, open, end string) {
	from, to := e.offset(n.Pos()), e.offset(n.End())
	e.before[from] += open
	e.after[to] = end + e.after[to]
}

// add makes a mutant of n and returns the question whether it is awake.
func (e *editor) add(n ast.Node, with string) string {
	id := e.next
	e.next++
	e.out.mutants = append(e.out.mutants, mutant{id, e.out.file, e.set.Position(n.Pos()).Line, e.text(n), with})
	return fmt.Sprintf("mutant_(%d)", id)
}

// off makes a condition false, and still evaluates it.
func (e *editor) off(cond ast.Expr) {
	e.wrap(cond, "((", ") && !"+e.add(cond, "("+e.text(cond)+") && false")+")")
}

var offByOne = map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">"}

func (e *editor) binary(n *ast.BinaryExpr) {
	x, y := e.text(n.X), e.text(n.Y)
	switch n.Op {
	case token.LAND:
		e.wrap(n.Y, "((", ") || "+e.add(n, "("+x+") && ("+y+" || true)")+")")
		e.wrap(n.X, "((", ") || "+e.add(n, "("+x+" || true) && ("+y+")")+")")
	case token.LOR:
		e.wrap(n.Y, "((", ") && !"+e.add(n, "("+x+") || ("+y+" && false)")+")")
		e.wrap(n.X, "((", ") && !"+e.add(n, "(("+x+") && false) || ("+y+")")+")")
	case token.EQL, token.NEQ:
		if isNil(n.Y) {
			return // it would end in a panic that any test notices
		}
		op := map[token.Token]string{token.EQL: "!=", token.NEQ: "=="}[n.Op]
		e.wrap(n, "((", ") != "+e.add(n, x+" "+op+" "+y)+")")
	case token.LSS, token.GTR:
		e.wrap(n, "((", ") || "+e.add(n, x+" "+offByOne[n.Op]+" "+y)+" && ("+x+") == ("+y+"))")
	case token.LEQ, token.GEQ:
		e.wrap(n, "((", ") && !("+e.add(n, x+" "+offByOne[n.Op]+" "+y)+" && ("+x+") == ("+y+")))")
	}
}

func isNil(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "nil"
}

func (e *editor) apply() []byte {
	var at []int
	for o := range e.before {
		at = append(at, o)
	}
	for o := range e.after {
		at = append(at, o)
	}
	slices.Sort(at)
	var out []byte
	last := 0
	for _, o := range slices.Compact(at) {
		out = append(out, e.src[last:o]...)
		out = append(append(out, e.after[o]...), e.before[o]...)
		last = o
	}
	return append(out, e.src[last:]...)
}
