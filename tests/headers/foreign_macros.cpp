// The library compiles after headers whose macros hide common words: building is the test.
//
// Each macro below belongs to a widely used header that defines it in C++, with parameters where it has some there, and expands to
// something that cannot compile. A name of normnet that is one of them must get another name. The standard library and the others that
// normnet uses come first: they are not what is tested. What is left out: min, max, abs and round, which normnet refuses
// (normnet/core/requirements.hpp), and what ncurses undefines for C++.
#include <Eigen/Core>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <complex>
#include <concepts>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <limits>
#include <locale>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <numbers>
#include <numeric>
#include <optional>
#include <ostream>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef _OPENMP
#include <omp.h>
#endif
#if defined(__SSE2__)
#include <immintrin.h>
#endif

// clang-format off
// Windows
#define ABSOLUTE @Windows
#define AddAtom @Windows
#define AddForm @Windows
#define AddJob @Windows
#define AddMonitor @Windows
#define AddPort @Windows
#define AddPrinter @Windows
#define AppendMenu @Windows
#define BITSPIXEL @Windows
#define BitTest @Windows
#define CALLBACK @Windows
#define CMYK(...) @Windows
#define CONST @Windows
#define ChangeMenu @Windows
#define ChooseColor @Windows
#define ChooseFont @Windows
#define CopyCursor(...) @Windows
#define CopyFile @Windows
#define CopyMemory @Windows
#define CopyRgn(...) @Windows
#define CreateDesktop @Windows
#define CreateDialog @Windows
#define CreateDirectory @Windows
#define CreateEvent @Windows
#define CreateFile @Windows
#define CreateFont @Windows
#define CreateMailslot @Windows
#define CreateMutex @Windows
#define CreateProcess @Windows
#define CreateSemaphore @Windows
#define CreateService @Windows
#define CreateWindow @Windows
#define DELETE @Windows
#define DeleteBitmap(...) @Windows
#define DeleteBrush(...) @Windows
#define DeleteFile @Windows
#define DeleteFont(...) @Windows
#define DeleteForm @Windows
#define DeleteMonitor @Windows
#define DeletePalette(...) @Windows
#define DeletePen(...) @Windows
#define DeletePort @Windows
#define DeleteRgn(...) @Windows
#define DispatchMessage @Windows
#define DrawState @Windows
#define DrawText @Windows
#define ERROR @Windows
#define EXTERN_C @Windows
#define EncryptFile @Windows
#define EnumDesktops @Windows
#define EnumFonts @Windows
#define EnumForms @Windows
#define EnumJobs @Windows
#define EnumMonitors @Windows
#define EnumPorts @Windows
#define EnumPrinters @Windows
#define EnumProps @Windows
#define FAILED(...) @Windows
#define FALSE @Windows
#define FAR @Windows
#define FillMemory @Windows
#define FindAtom @Windows
#define FindExecutable @Windows
#define FindResource @Windows
#define FindText @Windows
#define FindWindow @Windows
#define FormatMessage @Windows
#define GET_X_LPARAM(...) @Windows
#define GetForm @Windows
#define GetJob @Windows
#define GetMessage @Windows
#define GetObject @Windows
#define GetPrinter @Windows
#define GetProp @Windows
#define GetScode(...) @Windows
#define IGNORE @Windows
#define IN @Windows
#define INFINITE @Windows
#define INVALID_HANDLE_VALUE @Windows
#define InsertMenu @Windows
#define InterlockedAdd @Windows
#define InterlockedAnd @Windows
#define InterlockedDecrement @Windows
#define InterlockedExchange @Windows
#define InterlockedIncrement @Windows
#define InterlockedOr @Windows
#define InterlockedXor @Windows
#define IsMaximized(...) @Windows
#define IsMinimized(...) @Windows
#define IsRestored(...) @Windows
#define LoadAccelerators @Windows
#define LoadBitmap @Windows
#define LoadCursor @Windows
#define LoadFence @Windows
#define LoadIcon @Windows
#define LoadImage @Windows
#define LoadLibrary @Windows
#define LoadMenu @Windows
#define LoadString @Windows
#define LocalDiscard(...) @Windows
#define MAXINT @Windows
#define MININT @Windows
#define MemoryBarrier @Windows
#define MemoryFence @Windows
#define MessageBox @Windows
#define MoveFile @Windows
#define MoveMemory @Windows
#define MultiplyHigh @Windows
#define NEAR @Windows
#define NO_ERROR @Windows
#define NULLREGION @Windows
#define OPAQUE @Windows
#define OPTIONAL @Windows
#define OUT @Windows
#define OpenDesktop @Windows
#define OpenEvent @Windows
#define OpenMutex @Windows
#define OpenPrinter @Windows
#define OpenSemaphore @Windows
#define OpenService @Windows
#define PASCAL @Windows
#define PLANES @Windows
#define PURE @Windows
#define PeekMessage @Windows
#define PlaySound @Windows
#define PostMessage @Windows
#define PrintDlg @Windows
#define RELATIVE @Windows
#define RGB(...) @Windows
#define ReadConsole @Windows
#define RegisterClass @Windows
#define RemoveDirectory @Windows
#define RemoveProp @Windows
#define ReplaceFile @Windows
#define ReplaceText @Windows
#define ReportEvent @Windows
#define ResetPrinter @Windows
#define STATUS_PENDING @Windows
#define STRICT @Windows
#define SUCCEEDED(...) @Windows
#define SearchPath @Windows
#define SelectBitmap(...) @Windows
#define SelectBrush(...) @Windows
#define SelectFont(...) @Windows
#define SelectPen(...) @Windows
#define SendMessage @Windows
#define SetForm @Windows
#define SetJob @Windows
#define SetPort @Windows
#define SetPrinter @Windows
#define SetProp @Windows
#define StartDoc @Windows
#define StartService @Windows
#define StoreFence @Windows
#define TEXT(...) @Windows
#define THIS @Windows
#define TRUE @Windows
#define TextOut @Windows
#define UpdateResource @Windows
#define VOID @Windows
#define WINAPI @Windows
#define WriteConsole @Windows
#define Yield(...) @Windows
#define YieldProcessor @Windows
#define ZeroMemory @Windows
#define abnormal_termination @Windows
#define cdecl @Windows
#define environ @Windows
#define exception_code @Windows
#define exception_info @Windows
#define far @Windows
#define hyper @Windows
#define interface @Windows
#define isascii @Windows
#define lstrlen @Windows
#define near @Windows
#define pascal @Windows
#define small @Windows

// Qt
#define METHOD(...) @Qt
#define SIGNAL(...) @Qt
#define SLOT(...) @Qt
#define emit @Qt
#define foreach @Qt
#define forever @Qt
#define signals @Qt
#define slots @Qt

// X11
#define Above @X11
#define AllHints @X11
#define AllPlanes @X11
#define AllTemporary @X11
#define AllValues @X11
#define AllocAll @X11
#define AllocNone @X11
#define Always @X11
#define AnyButton @X11
#define AnyKey @X11
#define AnyModifier @X11
#define ArcChord @X11
#define AsyncBoth @X11
#define AsyncKeyboard @X11
#define AsyncPointer @X11
#define Below @X11
#define BitmapPad(...) @X11
#define BitmapSuccess @X11
#define BitmapUnit(...) @X11
#define BlackPixel(...) @X11
#define Bool @X11
#define BottomIf @X11
#define ButtonPress @X11
#define ButtonRelease @X11
#define CapButt @X11
#define CapProjecting @X11
#define CapRound @X11
#define CenterGravity @X11
#define ClientMessage @X11
#define Complex @X11
#define ControlMask @X11
#define Convex @X11
#define CreateNotify @X11
#define CurrentTime @X11
#define CursorShape @X11
#define DefaultDepth(...) @X11
#define DefaultScreen(...) @X11
#define DefaultVisual(...) @X11
#define DestroyAll @X11
#define DestroyNotify @X11
#define DirectColor @X11
#define DisableAccess @X11
#define DisplayCells(...) @X11
#define DisplayHeight(...) @X11
#define DisplayPlanes(...) @X11
#define DisplayString(...) @X11
#define DisplayWidth(...) @X11
#define DoBlue @X11
#define DoGreen @X11
#define DoRed @X11
#define EastGravity @X11
#define EnableAccess @X11
#define EnterNotify @X11
#define Expose @X11
#define ExposureMask @X11
#define False @X11
#define FamilyChaos @X11
#define FillSolid @X11
#define FillStippled @X11
#define FillTiled @X11
#define FocusIn @X11
#define FocusOut @X11
#define FontChange @X11
#define ForgetGravity @X11
#define GenericEvent @X11
#define GrabFrozen @X11
#define GrabSuccess @X11
#define GravityNotify @X11
#define GrayScale @X11
#define HeightValue @X11
#define HostDelete @X11
#define HostInsert @X11
#define IconicState @X11
#define InactiveState @X11
#define InputFocus @X11
#define InputHint @X11
#define InputOnly @X11
#define InputOutput @X11
#define IsUnmapped @X11
#define IsUnviewable @X11
#define IsViewable @X11
#define JoinBevel @X11
#define JoinMiter @X11
#define JoinRound @X11
#define KeyPress @X11
#define KeyRelease @X11
#define KeymapNotify @X11
#define LeaveNotify @X11
#define LineSolid @X11
#define LockMask @X11
#define LowerHighest @X11
#define MapNotify @X11
#define MapRequest @X11
#define MappingBusy @X11
#define MappingFailed @X11
#define MappingNotify @X11
#define MotionNotify @X11
#define NextRequest(...) @X11
#define NoExpose @X11
#define NoSymbol @X11
#define NoValue @X11
#define Nonconvex @X11
#define None @X11
#define NormalState @X11
#define NorthGravity @X11
#define NotUseful @X11
#define NotifyGrab @X11
#define NotifyHint @X11
#define NotifyNormal @X11
#define NotifyPointer @X11
#define NotifyUngrab @X11
#define NotifyVirtual @X11
#define Opposite @X11
#define PointerRoot @X11
#define PointerWindow @X11
#define PseudoColor @X11
#define QueuedAlready @X11
#define RaiseLowest @X11
#define RectangleIn @X11
#define RectangleOut @X11
#define RectanglePart @X11
#define ReplayPointer @X11
#define ResizeRequest @X11
#define RootWindow(...) @X11
#define ScreenCount(...) @X11
#define ServerVendor(...) @X11
#define ShiftMask @X11
#define SouthGravity @X11
#define StateHint @X11
#define StaticColor @X11
#define StaticGravity @X11
#define StaticGray @X11
#define Status @X11
#define StippleShape @X11
#define Success @X11
#define SyncBoth @X11
#define SyncKeyboard @X11
#define SyncPointer @X11
#define TileShape @X11
#define TopIf @X11
#define True @X11
#define TrueColor @X11
#define UnmapGravity @X11
#define UnmapNotify @X11
#define Unsorted @X11
#define VendorRelease(...) @X11
#define WestGravity @X11
#define WhenMapped @X11
#define WhitePixel(...) @X11
#define WidthValue @X11
#define WindingRule @X11
#define ZoomState @X11
#define externalref @X11
#define index(...) @X11
#define rindex(...) @X11

// curses
#define CURSES @curses
#define ERR @curses
#define OK @curses
#define add_wch(...) @curses
#define add_wchnstr(...) @curses
#define add_wchstr(...) @curses
#define addch(...) @curses
#define addchnstr(...) @curses
#define addchstr(...) @curses
#define addnstr(...) @curses
#define addnwstr(...) @curses
#define addstr(...) @curses
#define addwstr(...) @curses
#define attr_get(...) @curses
#define attr_off(...) @curses
#define attr_on(...) @curses
#define attr_set(...) @curses
#define attroff(...) @curses
#define attron(...) @curses
#define attrset(...) @curses
#define bkgd(...) @curses
#define bkgdset(...) @curses
#define bkgrnd(...) @curses
#define bkgrndset(...) @curses
#define border(...) @curses
#define border_set(...) @curses
#define box_set(...) @curses
#define chgat(...) @curses
#define clrtobot(...) @curses
#define clrtoeol(...) @curses
#define color_set(...) @curses
#define crmode(...) @curses
#define delch(...) @curses
#define deleteln(...) @curses
#define echo_wchar(...) @curses
#define echochar(...) @curses
#define fixterm(...) @curses
#define get_wch(...) @curses
#define get_wstr(...) @curses
#define getattrs(...) @curses
#define getbegx(...) @curses
#define getbegy(...) @curses
#define getbegyx(...) @curses
#define getbkgd(...) @curses
#define getbkgrnd(...) @curses
#define getch(...) @curses
#define getcurx(...) @curses
#define getcury(...) @curses
#define getmaxx(...) @curses
#define getmaxy(...) @curses
#define getmaxyx(...) @curses
#define getn_wstr(...) @curses
#define getnstr(...) @curses
#define getparx(...) @curses
#define getpary(...) @curses
#define getparyx(...) @curses
#define getstr(...) @curses
#define getsyx(...) @curses
#define gettmode(...) @curses
#define getyx(...) @curses
#define hline(...) @curses
#define hline_set(...) @curses
#define in_wch(...) @curses
#define in_wchnstr(...) @curses
#define in_wchstr(...) @curses
#define inch(...) @curses
#define inchnstr(...) @curses
#define inchstr(...) @curses
#define innstr(...) @curses
#define innwstr(...) @curses
#define ins_nwstr(...) @curses
#define ins_wch(...) @curses
#define ins_wstr(...) @curses
#define insch(...) @curses
#define insdelln(...) @curses
#define insertln(...) @curses
#define insnstr(...) @curses
#define insstr(...) @curses
#define instr(...) @curses
#define inwstr(...) @curses
#define is_cleared(...) @curses
#define is_idcok(...) @curses
#define is_idlok(...) @curses
#define is_immedok(...) @curses
#define is_keypad(...) @curses
#define is_leaveok(...) @curses
#define is_linetouched(...) @curses
#define is_nodelay(...) @curses
#define is_notimeout(...) @curses
#define is_pad(...) @curses
#define is_scrollok(...) @curses
#define is_subwin(...) @curses
#define is_syncok(...) @curses
#define mouse_trafo(...) @curses
#define nocrmode(...) @curses
#define redrawwin(...) @curses
#define resetterm(...) @curses
#define saveterm(...) @curses
#define scrl(...) @curses
#define scroll(...) @curses
#define setscrreg(...) @curses
#define setsyx(...) @curses
#define setterm(...) @curses
#define standend(...) @curses
#define standout(...) @curses
#define timeout(...) @curses
#define touchline(...) @curses
#define touchwin(...) @curses
#define untouchwin(...) @curses
#define vline(...) @curses
#define vline_set(...) @curses
#define wadd_wchstr(...) @curses
#define waddchstr(...) @curses
#define waddstr(...) @curses
#define waddwstr(...) @curses
#define wattroff(...) @curses
#define wattron(...) @curses
#define wdeleteln(...) @curses
#define wget_wstr(...) @curses
#define wgetbkgrnd(...) @curses
#define wgetdelay(...) @curses
#define wgetparent(...) @curses
#define wgetscrreg(...) @curses
#define wgetstr(...) @curses
#define win_wchstr(...) @curses
#define winchstr(...) @curses
#define wins_wstr(...) @curses
#define winsertln(...) @curses
#define winsstr(...) @curses
#define winstr(...) @curses
#define wstandend(...) @curses
#define wstandout(...) @curses

// Arduino
#define AVR @Arduino
#define B0 @Arduino
#define B00 @Arduino
#define B01 @Arduino
#define B1 @Arduino
#define B10 @Arduino
#define B11 @Arduino
#define BIN @Arduino
#define CHANGE @Arduino
#define DEC @Arduino
#define DEFAULT @Arduino
#define DEG_TO_RAD @Arduino
#define DISPLAY @Arduino
#define EULER @Arduino
#define EXTERNAL @Arduino
#define F(...) @Arduino
#define FALLING @Arduino
#define HALF_PI @Arduino
#define HEX @Arduino
#define HIGH @Arduino
#define INPUT @Arduino
#define INPUT_PULLUP @Arduino
#define INTERNAL @Arduino
#define ISR(...) @Arduino
#define LOW @Arduino
#define LSBFIRST @Arduino
#define MSBFIRST @Arduino
#define OCT @Arduino
#define OUTPUT @Arduino
#define PI @Arduino
#define PORTB @Arduino
#define PORTC @Arduino
#define PORTD @Arduino
#define PSTR(...) @Arduino
#define RAD_TO_DEG @Arduino
#define RISING @Arduino
#define SE @Arduino
#define SERIAL @Arduino
#define SP @Arduino
#define TWO_PI @Arduino
#define _BV(...) @Arduino
#define bit(...) @Arduino
#define bitClear(...) @Arduino
#define bitRead(...) @Arduino
#define bitSet(...) @Arduino
#define bitToggle(...) @Arduino
#define bitWrite(...) @Arduino
#define cli(...) @Arduino
#define constrain(...) @Arduino
#define degrees(...) @Arduino
#define highByte(...) @Arduino
#define interrupts(...) @Arduino
#define lowByte(...) @Arduino
#define noInterrupts(...) @Arduino
#define radians(...) @Arduino
#define reti(...) @Arduino
#define sei(...) @Arduino
#define sq(...) @Arduino
#define word(...) @Arduino

// Python
#define READONLY @Python
#define READ_RESTRICTED @Python
#define RESTRICTED @Python
#define T_BOOL @Python
#define T_BYTE @Python
#define T_CHAR @Python
#define T_DOUBLE @Python
#define T_FLOAT @Python
#define T_INT @Python
#define T_LONG @Python
#define T_NONE @Python
#define T_OBJECT @Python
#define T_SHORT @Python
#define T_STRING @Python
#define T_UINT @Python

// R
#define CHAR(...) @R
#define CONS(...) @R
#define Calloc(...) @R
#define EVAL(...) @R
#define Free(...) @R
#define GET_DIM(...) @R
#define ISNA(...) @R
#define ISNAN(...) @R
#define Memcpy(...) @R
#define Memzero(...) @R
#define NEW(...) @R
#define Realloc(...) @R
#define SET_DIM(...) @R
#define allocArray @R
#define allocList @R
#define allocMatrix @R
#define allocSExp @R
#define allocVector @R
#define asChar @R
#define asComplex @R
#define asInteger @R
#define asLogical @R
#define asReal @R
#define cPsort @R
#define choose @R
#define classgets @R
#define conformable @R
#define cons @R
#define copyMatrix @R
#define copyVector @R
#define dbeta @R
#define dbinom @R
#define dcauchy @R
#define dchisq @R
#define defineVar @R
#define dexp @R
#define df @R
#define dgamma @R
#define dgeom @R
#define dhyper @R
#define digamma @R
#define dimgets @R
#define dlnorm @R
#define dlogis @R
#define dnbeta @R
#define dnbinom @R
#define dnchisq @R
#define dnf @R
#define dnorm @R
#define dnt @R
#define dpois @R
#define dpsifn @R
#define dsignrank @R
#define dt @R
#define dtukey @R
#define dunif @R
#define duplicate @R
#define duplicated @R
#define dweibull @R
#define dwilcox @R
#define elt @R
#define errorcall @R
#define findFun @R
#define findVar @R
#define fprec @R
#define fround @R
#define fsign @R
#define ftrunc @R
#define gammafn @R
#define getAttrib @R
#define getCharCE @R
#define gsetVar @R
#define iPsort @R
#define inherits @R
#define install @R
#define installChar @R
#define isArray @R
#define isComplex @R
#define isFactor @R
#define isFrame @R
#define isFree @R
#define isFunction @R
#define isInteger @R
#define isLanguage @R
#define isList @R
#define isLogical @R
#define isMatrix @R
#define isNewList @R
#define isNull @R
#define isNumber @R
#define isNumeric @R
#define isObject @R
#define isOrdered @R
#define isPairList @R
#define isPrimitive @R
#define isReal @R
#define isString @R
#define isSymbol @R
#define isTs @R
#define isUnordered @R
#define isUnsorted @R
#define isUserBinop @R
#define isVector @R
#define lastElt @R
#define lbeta @R
#define lchoose @R
#define lcons @R
#define lengthgets @R
#define lgammafn @R
#define listAppend @R
#define match @R
#define matchE @R
#define mkChar @R
#define mkCharCE @R
#define mkCharLen @R
#define mkCharLenCE @R
#define mkNamed @R
#define mkString @R
#define namesgets @R
#define ncols @R
#define nlevels @R
#define nrows @R
#define nthcdr @R
#define pbeta @R
#define pbinom @R
#define pcauchy @R
#define pchisq @R
#define pentagamma @R
#define pexp @R
#define pf @R
#define pgamma @R
#define pgeom @R
#define phyper @R
#define plnorm @R
#define plogis @R
#define pmatch @R
#define pnbeta @R
#define pnbinom @R
#define pnchisq @R
#define pnf @R
#define pnorm @R
#define pnt @R
#define ppois @R
#define printwhere @R
#define protect @R
#define psigamma @R
#define psignrank @R
#define psmatch @R
#define pt @R
#define ptukey @R
#define punif @R
#define pweibull @R
#define pwilcox @R
#define qbeta @R
#define qbinom @R
#define qcauchy @R
#define qchisq @R
#define qexp @R
#define qf @R
#define qgamma @R
#define qgeom @R
#define qhyper @R
#define qlnorm @R
#define qlogis @R
#define qnbeta @R
#define qnbinom @R
#define qnchisq @R
#define qnf @R
#define qnorm @R
#define qnt @R
#define qpois @R
#define qsignrank @R
#define qt @R
#define qtukey @R
#define qunif @R
#define qweibull @R
#define qwilcox @R
#define rPsort @R
#define rbeta @R
#define rbinom @R
#define rcauchy @R
#define rchisq @R
#define reEnc @R
#define revsort @R
#define rexp @R
#define rf @R
#define rgamma @R
#define rgeom @R
#define rhyper @R
#define rlnorm @R
#define rlogis @R
#define rmultinom @R
#define rnbeta @R
#define rnbinom @R
#define rnchisq @R
#define rnf @R
#define rnorm @R
#define rnt @R
#define rpois @R
#define rsignrank @R
#define rt @R
#define rtukey @R
#define runif @R
#define rweibull @R
#define rwilcox @R
#define setAttrib @R
#define setIVector @R
#define setRVector @R
#define setSVector @R
#define setVar @R
#define substitute @R
#define tetragamma @R
#define topenv @R
#define trigamma @R
#define unprotect @R
#define warning @R
#define warningcall @R
#define xlength(...) @R
#define xlengthgets @R

// GLib
#define ABS(...) @GLib
#define ATEXIT(...) @GLib
#define CLAMP(...) @GLib
#define C_(...) @GLib
#define MAX(...) @GLib
#define MIN(...) @GLib
#define NC_(...) @GLib
#define N_(...) @GLib
#define Q_(...) @GLib
#define _(...) @GLib

// POSIX and Linux
#define ADD @POSIX
#define BLOCK_SIZE @POSIX
#define BLOCK_SIZE_BITS @POSIX
#define DEV_BSIZE @POSIX
#define ECHO @POSIX
#define HZ @POSIX
#define LIST_ENTRY(...) @POSIX
#define LIST_HEAD(...) @POSIX
#define NODEV @POSIX
#define NOFILE @POSIX
#define NOGROUP @POSIX
#define PAGE_MASK @POSIX
#define PAGE_SHIFT @POSIX
#define PAGE_SIZE @POSIX
#define QUERY @POSIX
#define STATUS @POSIX
#define TAILQ_HEAD(...) @POSIX
#define clrbit(...) @POSIX
#define h_addr @POSIX
#define h_errno @POSIX
#define hostalias @POSIX
#define howmany(...) @POSIX
#define isclr(...) @POSIX
#define isset(...) @POSIX
#define major(...) @POSIX
#define makedev(...) @POSIX
#define minor(...) @POSIX
#define nsaddr @POSIX
#define powerof2(...) @POSIX
#define putlong @POSIX
#define putshort @POSIX
#define roundup(...) @POSIX
#define setbit(...) @POSIX

// complex.h
#define I @complex
#define _Complex_I @complex

// R gives these names to its functions, Rf_length for length, unless R_NO_REMAP is defined: all else that bears them is renamed alike.
#define beta Rf_beta
#define error Rf_error
#define eval Rf_eval
#define length Rf_length
#define sign Rf_sign
// clang-format on

#include <normnet/normnet.hpp>
#include <normnet/train/checkpoint_folder.hpp>
#include <normnet/viz/channel_picture.hpp>
#include <normnet/viz/image_grid.hpp>
#include <normnet/viz/line_chart.hpp>
#include <normnet/viz/matrix_chart.hpp>

// The templates, too: some names are looked up when they are instantiated.
#define NORMNET_INSTANCES template
#include <normnet/instances.hpp>
