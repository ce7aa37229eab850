/* What the files of src/fractal share: a scene, the families that draw scenes, the two renderers.
 *
 * Most families are functions of a point of the plane (`sample`); flames and attractors are densities of a walk
 * (`walk`). */
#ifndef FRACTAL_SCENE_H
#define FRACTAL_SCENE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "fractal/palette.h"
#include "fractal/point.h"

enum { LEVEL_KNOTS = 17, FLAME_TRANSFORMS = 6, FLAME_VARIATIONS = 3, NEWTON_ROOTS = 8 };

/* What a family tells about one point. */
typedef struct fractal_sample {
    bool inside;         /* of the set: coloured by the inner palette, by `texture` alone */
    double level;        /* smooth iteration count or what stands for it */
    double texture;      /* stripes or an orbit trap, about 0 to 1 */
    fractal_point slope; /* unit vector along which the level falls; (0, 0): unknown */
    double distance;     /* to the set, in widths of the view; HUGE_VAL: unknown */
    unsigned basin;      /* which attractor was reached */
} fractal_sample;

typedef enum fractal_trap { TRAP_NONE, TRAP_STRIPES, TRAP_POINT, TRAP_CROSS, TRAP_CIRCLE } fractal_trap;

typedef struct fractal_colouring {
    fractal_palette outer, inner;
    double cycles, phase; /* turns of the palette over the levels of the picture */
    double equalise;      /* 0: levels by their logarithm, 1: by their rank */
    double texture;       /* turns per unit of texture */
    double basin;         /* turns per basin */
    double relief;        /* strength of the light, 0 to 1 */
    fractal_point light;
    double rim;           /* > 0: the set's edge is drawn dark, < 0: light */
    double knots[LEVEL_KNOTS]; /* quantiles of the levels, increasing */
} fractal_colouring;

typedef struct flame_transform {
    double affine[6]; /* x' = a0 x + a1 y + a2, y' = a3 x + a4 y + a5 */
    int variations[FLAME_VARIATIONS];
    double weights[FLAME_VARIATIONS];
    double share, colour; /* cumulated probability; place in the palette */
} flame_transform;

typedef struct fractal_family fractal_family;

/* Fields mean what their family says; those that it does not use are 0. */
typedef struct fractal_scene {
    const fractal_family *family;
    fractal_point centre, turn; /* of the view; unit vector of its x axis */
    double width;
    fractal_colouring colouring;
    int limit; /* of iterations */
    int variant, power, stripes;
    bool julia;
    fractal_trap trap;
    fractal_point constant, second;
    double parameters[6];
    fractal_point roots[NEWTON_ROOTS];
    int root_count;
    char sequence[16]; /* Lyapunov's As and Bs */
    flame_transform transforms[FLAME_TRANSFORMS];
    int transform_count, symmetry;
    double gamma, exposure; /* of densities */
    bool paper;             /* dark on light */
    fractal_colour ground;
} fractal_scene;

/* One step of a walk; *colour: place in the palette, updated. */
typedef void (*fractal_walk)(const fractal_scene *scene, uint32_t random, fractal_point *at, double *colour);

struct fractal_family {
    const char *name;
    unsigned share; /* pictures of a round */
    /* Fills the motif and the view; false: nothing worth drawing was found. The colouring has its defaults already. */
    bool (*draw)(fractal_scene *scene, fractal_dice *dice);
    void (*sample)(const fractal_scene *scene, fractal_point at, fractal_sample *out); /* or */
    fractal_walk walk;
};

extern const fractal_family fractal_mandelbrot, fractal_julia, fractal_multibrot;        /* power.c */
extern const fractal_family fractal_burning_ship, fractal_tricorn, fractal_phoenix;      /* folded.c */
extern const fractal_family fractal_newton, fractal_nova, fractal_magnet, fractal_sine;  /* rational.c */
extern const fractal_family fractal_lyapunov;
extern const fractal_family fractal_flame, fractal_attractor;

/* view.c */
/* A point of the view; u, v from -0.5 to 0.5, v down. */
fractal_point fractal_view_point(const fractal_scene *scene, double u, double v);
void fractal_view_rotate(fractal_scene *scene, double angle);
/* A point on the edge of what is inside, within `radius` around `centre`, by bisection; false: none was met. */
bool fractal_find_edge(const fractal_scene *scene, fractal_dice *dice, fractal_point centre, double radius,
                       fractal_point *out);
/* Whether a coarse look at the view shows many levels, neither mostly inside nor mere dust. */
bool fractal_view_is_rich(const fractal_scene *scene);
/* Lowers the limit to what the view needs, for families whose levels count iterations. */
void fractal_limit_to_view(fractal_scene *scene);

/* colour.c */
/* Draws palettes and how they are laid over the levels. */
void fractal_colouring_draw(fractal_colouring *colouring, fractal_dice *dice);
/* Fits the knots to the levels in view. */
void fractal_colouring_fit(fractal_scene *scene);
fractal_colour fractal_colour_of(const fractal_scene *scene, const fractal_sample *sample);
/* Linear light, clipped, to an sRGB byte. */
uint8_t fractal_encode(double linear);

/* render.c, density.c: (size, size, 3) bytes, `grid` x `grid` samples a pixel averaged in linear light; fractal_render
 * takes a quarter of them where those agree. */
void fractal_render(const fractal_scene *scene, size_t size, int grid, int threads, uint8_t *rgb);
/* effort: steps of the walk a pixel. */
status fractal_render_density(const fractal_scene *scene, const fractal_dice *dice, size_t size, int grid, int effort,
                              int threads, uint8_t *rgb, error *err);
/* Moves the view to where the walk goes; false when it goes nowhere or away. */
bool fractal_frame_walk(fractal_scene *scene, fractal_dice *dice);

#endif
