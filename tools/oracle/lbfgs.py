"""What SciPy's L-BFGS-B (history 10) reaches on the functions of tests/style/test_lbfgs.c; prints the numbers that stand
there. Needs SciPy (made with 1.17)."""
import numpy as np
from scipy.optimize import minimize


def rosenbrock(x):
    a, b = x[:-1], x[1:]
    gradient = np.zeros_like(x)
    gradient[:-1] += -400 * a * (b - a**2) - 2 * (1 - a)
    gradient[1:] += 200 * (b - a**2)
    return (100 * (b - a**2) ** 2 + (1 - a) ** 2).sum(), gradient


def quadratic(x):
    curvature = 10 ** (4 * np.arange(x.size) / (x.size - 1))
    return (curvature * (x - 1) ** 2).sum() / 2, curvature * (x - 1)


for name, function, start in [("Rosenbrock, 2", rosenbrock, np.array([-1.2, 1.0])),
                              ("Rosenbrock, 10", rosenbrock, np.tile([-1.2, 1.0], 5)),
                              ("quadratic, 100", quadratic, np.zeros(100))]:
    r = minimize(function, start, jac=True, method="L-BFGS-B", options={"maxcor": 10, "ftol": 0, "gtol": 1e-5})
    print(f"{name}: {r.nit} iterations, {r.nfev} evaluations, loss {r.fun:.3g}, "
          f"off by {np.abs(r.x - 1).max():.3g} at most")
    for k in (20, 40, 200):
        r = minimize(function, start, jac=True, method="L-BFGS-B",
                     options={"maxcor": 10, "ftol": 0, "gtol": 0, "maxiter": k})
        print(f"    after {k}: {r.fun:.6g} ({r.nfev} evaluations)")
